set(ASYNC_CROSS aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/linux-gnu.cmake)
