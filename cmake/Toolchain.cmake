# Faster tools where the machine has them, and one interface target with the flags of our own code.
find_program(CCACHE ccache)
if(CCACHE)
  # A precompiled header defeats ccache unless it may ignore its time stamps.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

add_library(tweedie_options INTERFACE)
target_compile_options(tweedie_options INTERFACE -Wall -Wextra -Wno-unknown-pragmas)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_compile_options(tweedie_options INTERFACE -Xclang -fno-pch-timestamp)
else()
  # g++ warns of {.steps = 5} where the other options keep a default that is itself {}.
  target_compile_options(tweedie_options INTERFACE -Wno-missing-field-initializers)
endif()

# One kind of code for the library, the module and the tests, which share a precompiled header.
add_compile_options(-fPIC -fno-semantic-interposition)

find_program(MOLD NAMES mold ld.mold)
if(MOLD)
  target_link_options(tweedie_options INTERFACE -fuse-ld=mold)
endif()
# Only what is used of libtorch's long link line, but always libtorch itself: its kernels register on load.
target_link_options(tweedie_options INTERFACE -Wl,--no-as-needed)

if(TWEEDIE_SANITIZE)
  add_compile_options(-fsanitize=${TWEEDIE_SANITIZE} -fno-omit-frame-pointer)
  string(REPLACE ",fuzzer-no-link" "" link_sanitizers "${TWEEDIE_SANITIZE}")
  add_link_options(-fsanitize=${link_sanitizers})
endif()
