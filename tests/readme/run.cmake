# Goal: the program in README.md does what the README says. Method: run it on a fresh directory, compare its output; run
# it again, where the expected version must be refused.
file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
execute_process(COMMAND ${PROGRAM} ${DIRECTORY}/shop RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(NOT code EQUAL 0 OR NOT output STREQUAL "1 OrderPlaced {\"total\":30}\n2 OrderPaid \n")
  message(FATAL_ERROR "code ${code}, printed: ${output}${error}")
endif()
execute_process(COMMAND ${PROGRAM} ${DIRECTORY}/shop RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(code EQUAL 0 OR NOT error MATCHES "stream 'order-42' is at version 2")
  message(FATAL_ERROR "the second run was not refused: code ${code}, printed: ${output}${error}")
endif()
