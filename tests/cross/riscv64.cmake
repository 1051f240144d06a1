set(ASYNC_CROSS riscv64)
include(${CMAKE_CURRENT_LIST_DIR}/linux-gnu.cmake)
