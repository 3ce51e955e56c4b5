# Third-party packages; ARCHITECTURE.md gives the reason for each.
find_package(Torch REQUIRED)
find_package(dnnl REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(TIFF REQUIRED)
find_package(Freetype REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)  # its CMake file wants its command-line tools too
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)

# libhdf5's headers, and the name by which it is loaded when an HDF5 file is met (src/io/hdf5_library.h)
pkg_check_modules(HDF5 REQUIRED hdf5)
find_library(HDF5_SHARED NAMES libhdf5.so HINTS ${HDF5_LIBRARY_DIRS} REQUIRED)
execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${HDF5_SHARED} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
if(NOT dynamic MATCHES "SONAME +([^ \n]+)")
  message(FATAL_ERROR "${HDF5_SHARED} has no SONAME")
endif()
set(TWEEDIE_HDF5_LIBRARY ${CMAKE_MATCH_1})

# libtorch's headers and libc10, which has its types (Tensor, Device, Error) but no operators, and loads in a
# millisecond
add_library(torch_types INTERFACE)
target_include_directories(torch_types INTERFACE $<TARGET_PROPERTY:torch,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_options(torch_types INTERFACE $<TARGET_PROPERTY:torch,INTERFACE_COMPILE_OPTIONS>)
target_link_libraries(torch_types INTERFACE c10)

# What the library's users link too (tweedie-config.cmake finds these again), and what is headers only.
set(TWEEDIE_LINKED_LIBRARIES
  Threads::Threads ZLIB::ZLIB PNG::PNG JPEG::JPEG TIFF::TIFF Freetype::Freetype PkgConfig::LIBZIP fmt::fmt
  tomlplusplus::tomlplusplus)
add_library(tweedie_headers INTERFACE)
target_link_libraries(tweedie_headers INTERFACE nlohmann_json::nlohmann_json CLI11::CLI11)
set(TWEEDIE_PRIVATE_LIBRARIES ${TWEEDIE_LINKED_LIBRARIES} tweedie_headers)
