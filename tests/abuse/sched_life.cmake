# Rows of tasks, threads, life cycle and environment: tables of rows.h, each row run in a process of
# its own.

# The runtime with the STEP hook: who links it defines async_step.
if(NOT TARGET async_step)
    add_library(async_step STATIC EXCLUDE_FROM_ALL ${runtime_sources})
    async_runtime_target(async_step)
    target_compile_definitions(async_step PRIVATE ASYNC_STATIC PUBLIC ASYNC_STEP)
    target_link_libraries(async_step PRIVATE -pthread)
    target_include_directories(async_step PUBLIC ${PROJECT_SOURCE_DIR}/runtime)
    add_library(support_async_step STATIC EXCLUDE_FROM_ALL ${support_sources})
    target_include_directories(support_async_step PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/../support)
    target_link_libraries(support_async_step PUBLIC async_step)
endif()

# abuse_rows(<file> <libraries and link options>...)
function(abuse_rows file)
    set(program abuse_${file})
    add_executable(${program} ${file}.c rows.c)
    target_link_libraries(${program} PRIVATE ${ARGN} -pthread)
    async_test(abuse ${program} 600 ${program})
endfunction()

abuse_rows(sched_deque support_async_objects)
abuse_rows(sched_windows support_async_step)
target_sources(abuse_sched_windows PRIVATE steps.c)
