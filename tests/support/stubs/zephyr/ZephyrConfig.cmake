# As small as Zephyr can be: modules by their zephyr/module.yml, Kconfig by kconfiglib, and the
# macros that a module uses. Its flags come after those of a target, as in Zephyr.
set(CMAKE_TOOLCHAIN_FILE $ENV{BARE_TOOLCHAIN})
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
enable_language(C)
set_property(GLOBAL PROPERTY ZEPHYR_LIBS "")

add_library(zephyr_interface INTERFACE)
target_compile_options(zephyr_interface INTERFACE -Os -Wall -Wextra -Werror)
target_include_directories(zephyr_interface INTERFACE ${CMAKE_CURRENT_LIST_DIR}/include)

macro(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGN})
endmacro()

macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC "")
  target_link_libraries(${name} PUBLIC zephyr_interface)
  set_property(GLOBAL APPEND PROPERTY ZEPHYR_LIBS ${name})
endmacro()

macro(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()

execute_process(
  COMMAND $ENV{BARE_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/modules.py ${CMAKE_BINARY_DIR}
    ${CMAKE_CURRENT_SOURCE_DIR}/prj.conf ${EXTRA_ZEPHYR_MODULES}
  COMMAND_ERROR_IS_FATAL ANY)
include(${CMAKE_BINARY_DIR}/configuration.cmake)

zephyr_library_named(app)
foreach(folder IN LISTS module_folders)
  get_filename_component(parent ${folder} DIRECTORY)
  get_filename_component(name ${parent} NAME)
  add_subdirectory(${folder} ${CMAKE_BINARY_DIR}/modules/${name})
endforeach()

get_property(libraries GLOBAL PROPERTY ZEPHYR_LIBS)
add_executable(zephyr $ENV{BARE_SOURCES})
target_link_libraries(zephyr PRIVATE -Wl,--whole-archive ${libraries} -Wl,--no-whole-archive)
