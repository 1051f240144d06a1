# Rows of tasks, threads, life cycle and environment: tables of rows.h, each row run in a process of
# its own.

# The runtime with the STEP hook, which is the linking program's own (steps.c).
add_library(async_abuse_step STATIC ${runtime_sources})
async_runtime_target(async_abuse_step)
target_compile_definitions(async_abuse_step PRIVATE ASYNC_STATIC PUBLIC ASYNC_STEP)
target_link_libraries(async_abuse_step PRIVATE -pthread)
target_include_directories(async_abuse_step PUBLIC ${PROJECT_SOURCE_DIR}/runtime)

# abuse_stepped(<file>): its support is compiled in, but for the hook that is shared by others.
function(abuse_stepped file)
    abuse_rows(${file} async_abuse_step)
    target_sources(abuse_${file} PRIVATE steps.c ../support/pipeline.c ../support/watchdog.c)
    target_include_directories(abuse_${file} PRIVATE ../support)
endfunction()

# abuse_rows(<file> <libraries and link options>...)
function(abuse_rows file)
    set(program abuse_${file})
    add_executable(${program} ${file}.c rows.c observer.c)
    target_link_libraries(${program} PRIVATE ${ARGN} -pthread)
    async_test(abuse ${program} 600 ${program})
    abuse_observed(${program})
endfunction()

abuse_rows(sched_deque support_async_objects)
abuse_stepped(sched_windows)
target_sources(abuse_sched_windows PRIVATE pulse.c)
abuse_rows(sched_tasks support_async)
abuse_rows(sched_graph support_async)
abuse_rows(sched_wake support_async_objects -Wl,--wrap=os_futex_wake,--wrap=pool_look_after)
abuse_rows(life_pool support_async)

include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
    abuse_rows(life_ends support_async)
    target_sources(abuse_life_ends PRIVATE throw.cpp)
    target_compile_definitions(abuse_life_ends PRIVATE $<$<BOOL:${ASYNC_DEBUG}>:ASYNC_DEBUG=1>)
else()
    message(STATUS "No C++ compiler: F50 and F51 are left out.")
endif()

foreach(plugin ending leaving staying)
    add_library(abuse_plugin_${plugin} MODULE plugin.c)
    target_link_libraries(abuse_plugin_${plugin} PRIVATE async)
endforeach()
target_compile_definitions(abuse_plugin_ending PRIVATE PLUGIN_ENDS)
target_link_options(abuse_plugin_staying PRIVATE -Wl,-z,nodelete)
abuse_rows(life_plugin support_async_static ${CMAKE_DL_LIBS})
add_dependencies(abuse_life_plugin abuse_plugin_ending abuse_plugin_leaving abuse_plugin_staying)
target_compile_definitions(abuse_life_plugin PRIVATE
    PLUGIN_ENDING="$<TARGET_FILE:abuse_plugin_ending>"
    PLUGIN_LEAVING="$<TARGET_FILE:abuse_plugin_leaving>"
    PLUGIN_STAYING="$<TARGET_FILE:abuse_plugin_staying>")
abuse_rows(life_threads support_async_objects)
abuse_rows(life_env support_async_static -Wl,--wrap=clock_gettime)
abuse_stepped(sched_owners)
