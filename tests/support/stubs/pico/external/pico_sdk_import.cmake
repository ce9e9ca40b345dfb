# As small as the Pico SDK can be: its toolchain before the project, its libraries behind it.
set(CMAKE_TOOLCHAIN_FILE $ENV{BARE_TOOLCHAIN})

macro(pico_sdk_init)
  add_library(pico_stdlib INTERFACE)
  target_sources(pico_stdlib INTERFACE $ENV{BARE_SOURCES})
  target_include_directories(pico_stdlib INTERFACE $ENV{PICO_SDK_PATH}/include)
endmacro()

function(pico_enable_stdio_usb target on)
endfunction()

function(pico_enable_stdio_uart target on)
endfunction()

function(pico_add_extra_outputs target)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_OBJCOPY} -O binary ${target} ${target}.bin)
endfunction()
