# What every target of ours is compiled with. Embedders never see these flags: they are private to our targets.
find_package(Threads REQUIRED)

function(varve_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(VARVE_DEVELOPER)
    target_compile_options(${target} PRIVATE
      -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
      -Woverloaded-virtual -Wcast-align -Wimplicit-fallthrough -Werror)
  endif()
  if(VARVE_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link) # so that the fuzzer sees which branches are taken
  endif()
  if(VARVE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${VARVE_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${VARVE_SANITIZE})
    if(VARVE_SANITIZE MATCHES "undefined")
      target_compile_options(${target} PRIVATE -fno-sanitize-recover=undefined)
    endif()
  endif()
endfunction()
