# What `make install` puts where: the library, its headers, both ways to find it, the programs and the man page.
include(CMakePackageConfigHelpers)

install(TARGETS varve varve_nes EXPORT varve_targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/varve DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")

set(VARVE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/varve)
install(EXPORT varve_targets NAMESPACE varve:: FILE varve-targets.cmake DESTINATION ${VARVE_PACKAGE_DIR})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/varve-config.cmake.in ${PROJECT_BINARY_DIR}/varve-config.cmake
  INSTALL_DESTINATION ${VARVE_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/varve-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/varve-config.cmake ${PROJECT_BINARY_DIR}/varve-config-version.cmake
  DESTINATION ${VARVE_PACKAGE_DIR})

# Found from where varve.pc lies, so that a tree that was moved still works.
file(RELATIVE_PATH VARVE_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/varve.pc.in ${PROJECT_BINARY_DIR}/varve.pc @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/varve-nes.pc.in ${PROJECT_BINARY_DIR}/varve-nes.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/varve.pc ${PROJECT_BINARY_DIR}/varve-nes.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(VARVE_TOOLS)
  file(RELATIVE_PATH VARVE_BIN_TO_LIB /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  if(BUILD_SHARED_LIBS)
    set_target_properties(varve_cli varve_bench PROPERTIES INSTALL_RPATH "$ORIGIN/${VARVE_BIN_TO_LIB}")
  endif()
  install(TARGETS varve_cli varve_bench RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES ${PROJECT_SOURCE_DIR}/cli/varve.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
