# As small as ESP-IDF can be: the components of the project's own, and those that the component
# manager finds by the manifests, which it is asked for as ESP-IDF does it.
set(CMAKE_TOOLCHAIN_FILE $ENV{BARE_TOOLCHAIN})
set(components "" CACHE INTERNAL "")

function(idf_component_register)
  cmake_parse_arguments(given "" "" "SRCS;INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  add_library(__idf_${name} STATIC ${given_SRCS})
  target_include_directories(__idf_${name} PUBLIC ${given_INCLUDE_DIRS})
  target_compile_options(__idf_${name} PRIVATE -Og -Wall -Wextra -Werror=all)
  set(components ${components} __idf_${name} CACHE INTERNAL "")
endfunction()

function(idf_build_component folder source)
  get_filename_component(name ${folder} NAME)
  add_subdirectory(${folder} ${CMAKE_BINARY_DIR}/esp-idf/${name})
endfunction()

function(idf_component_set_property)
endfunction()

macro(project name)
  _project(${name} C ASM)
  file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.json "{}")
  execute_process(
    COMMAND $ENV{BARE_PYTHON} -m idf_component_manager.prepare_components
      --project_dir=${CMAKE_SOURCE_DIR} --interface_version 5
      --sdkconfig_json_file=${CMAKE_BINARY_DIR}/sdkconfig.json prepare_dependencies
      --managed_components_list_file=${CMAKE_BINARY_DIR}/managed.cmake --build_dir=${CMAKE_BINARY_DIR}
    COMMAND_ERROR_IS_FATAL ANY)
  include(${CMAKE_BINARY_DIR}/managed.cmake)
  idf_build_component(${CMAKE_SOURCE_DIR}/main project)
  add_executable(${name}.elf $ENV{BARE_SOURCES} $ENV{IDF_PATH}/start.c)
  target_include_directories(__idf_main PRIVATE $ENV{IDF_PATH}/include)
  # main needs all others, as in ESP-IDF.
  foreach(component IN LISTS components)
    if(NOT component STREQUAL __idf_main)
      target_link_libraries(__idf_main PUBLIC ${component})
    endif()
  endforeach()
  target_link_libraries(${name}.elf __idf_main)
endmacro()
