# Third-party packages; ARCHITECTURE.md gives the reason for each.
find_package(Torch REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(Freetype REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)  # its CMake file wants its command-line tools too
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
set(TWEEDIE_PRIVATE_LIBRARIES
  Threads::Threads ZLIB::ZLIB PNG::PNG JPEG::JPEG Freetype::Freetype PkgConfig::LIBZIP nlohmann_json::nlohmann_json
  tomlplusplus::tomlplusplus CLI11::CLI11 fmt::fmt)
