# Rows of channels, of cancelling, sources and discarding: tables of support/watchdog.h.

# abuse_table(<file> <libraries and link options>...)
function(abuse_table file)
    set(program abuse_${file})
    add_executable(${program} ${file}.c)
    target_link_libraries(${program} PRIVATE ${ARGN} -pthread)
    target_compile_definitions(${program} PRIVATE $<$<BOOL:${ASYNC_DEBUG}>:ABUSE_CHECKED>)
    async_test(abuse ${program} 600 ${program})
    abuse_observed(${program})
endfunction()

abuse_table(channel_close support_async)
abuse_table(channel_load support_async)
abuse_table(channel_limits support_async_objects
            -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=free)
abuse_table(channel_wrap support_async_objects)
abuse_table(channel_futex support_async_objects -Wl,--wrap=syscall,--wrap=clock_gettime)

# The runtime's sources once more, with the hook that this program defines.
add_executable(abuse_channel_windows channel_windows.c ${runtime_sources})
foreach(file pipeline abuse watchdog)
    target_sources(abuse_channel_windows PRIVATE ../support/${file}.c)
endforeach()
async_runtime_target(abuse_channel_windows)
target_compile_definitions(abuse_channel_windows PRIVATE ASYNC_STATIC ASYNC_STEP)
target_include_directories(abuse_channel_windows PRIVATE ${PROJECT_SOURCE_DIR}/runtime ../support)
target_link_libraries(abuse_channel_windows PRIVATE -pthread)
async_test(abuse abuse_channel_windows 600 abuse_channel_windows)

abuse_table(channel_memory support_async_objects
            -Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc,--wrap=free)
abuse_table(work_ends support_async)
abuse_table(work_discard support_async)
