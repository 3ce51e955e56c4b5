# add_test_suites(TARGET): one CTest entry for each GoogleTest suite of a program, found by asking it after it
# is linked. (One for each test would load libtorch hundreds of times.) Run as a script, it asks.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(TEST_SUITES_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
  function(add_test_suites target)
    set(list ${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake)
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM BYPRODUCTS ${list}
      COMMAND ${CMAKE_COMMAND} -D PROGRAM=$<TARGET_FILE:${target}> -D LIST=${list} -P ${TEST_SUITES_SCRIPT})
    file(WRITE ${list}.in.cmake "if(EXISTS \"${list}\")\n  include(\"${list}\")\nelse()\n"
      "  add_test(${target}_NOT_BUILT false)\nendif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${list}.in.cmake)
  endfunction()
  return()
endif()

execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
get_filename_component(program ${PROGRAM} NAME)
string(REPLACE "test_" "" folder ${program})
string(REGEX MATCHALL "(^|\n)[A-Za-z0-9_/]+\\." suites "${output}")
set(content "")
foreach(suite IN LISTS suites)
  string(STRIP ${suite} suite)
  string(APPEND content "add_test([=[${folder}.${suite}]=] \"${PROGRAM}\" \"--gtest_filter=${suite}*\")\n"
    "set_tests_properties([=[${folder}.${suite}]=] PROPERTIES TIMEOUT 300)\n")
endforeach()
string(REPLACE ".]=]" "]=]" content "${content}")
file(WRITE ${LIST} "${content}")
