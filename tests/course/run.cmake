# Goal: the course subscription example enforces both of its rules, also when sixteen students come at once. Method: run it on
# a fresh directory, compare its output; run it again, where everything that may be done once is refused.
file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
execute_process(COMMAND ${PROGRAM} ${DIRECTORY}/university RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
set(expected "define algebra with 2 seats: done
define algebra once more: refused, it exists
register student/ann: done
register student/ben: done
register student/cem: done
ann takes algebra: done
ann takes algebra again: refused, the student is enrolled already
ben takes algebra: done
cem takes algebra: refused, the course is full
algebra gets 1 seat: refused, more seats are taken
algebra gets 3 seats: done
cem takes algebra: done
dan takes algebra: refused, there is no such student
define course/1: done
ann takes course/1: done
define course/2: done
ann takes course/2: done
define course/3: done
ann takes course/3: done
define course/4: done
ann takes course/4: done
define course/5: done
ann takes course/5: refused, the student takes five courses already
define logic with 10 seats: done
of 16 students at once 10 got a seat
")
if(NOT code EQUAL 0 OR NOT output STREQUAL expected)
  message(FATAL_ERROR "code ${code}, printed: ${output}${error}")
endif()
execute_process(COMMAND ${PROGRAM} ${DIRECTORY}/university RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(NOT code EQUAL 0 OR NOT output MATCHES "define algebra with 2 seats: refused, it exists" OR
   NOT output MATCHES "register student/ann: refused, it exists" OR
   NOT output MATCHES "of 16 students at once 0 got a seat")
  message(FATAL_ERROR "the second run: code ${code}, printed: ${output}${error}")
endif()
