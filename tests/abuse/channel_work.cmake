# Rows of channels, of cancelling, sources and discarding: tables of support/watchdog.h.

# abuse_table(<file> <libraries and link options>...)
function(abuse_table file)
    set(program abuse_${file})
    add_executable(${program} ${file}.c)
    target_link_libraries(${program} PRIVATE ${ARGN} -pthread)
    target_compile_definitions(${program} PRIVATE $<$<BOOL:${ASYNC_DEBUG}>:ABUSE_CHECKED>)
    async_test(abuse ${program} 600 ${program})
endfunction()

abuse_table(channel_close support_async)
abuse_table(channel_load support_async)
abuse_table(channel_limits support_async_objects
            -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=free)
abuse_table(channel_wrap support_async_objects)
