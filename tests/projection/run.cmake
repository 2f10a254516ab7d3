# Goal: the projection example counts each order exactly once, also when it ends in the middle. Method: run it on a fresh
# directory; twice so that it ends after two orders; to the end; its output and the command line say the same.
file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
function(run expected)
  execute_process(COMMAND ${PROGRAM} ${DIRECTORY}/shop ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
  if(NOT code EQUAL 0 OR NOT output STREQUAL "${expected}")
    message(FATAL_ERROR "code ${code}, printed: ${output}${error}")
  endif()
endfunction()
run("customer/ann 1300\ncustomer/ben 300\nup to date\nparked 4: the amount is not a number\n")
run("" crash)
run("" crash)
run("customer/ann 5200\ncustomer/ben 1200\nup to date
parked 4: the amount is not a number
parked 9: the amount is not a number
parked 14: the amount is not a number
parked 19: the amount is not a number\n")
execute_process(COMMAND ${VARVE} consumers ${DIRECTORY}/shop verify spent-by-customer RESULT_VARIABLE code OUTPUT_VARIABLE output)
if(NOT code EQUAL 0 OR NOT output MATCHES "counted 16 events up to position 20: 12 acknowledged, 4 parked")
  message(FATAL_ERROR "verify: code ${code}, printed: ${output}")
endif()
