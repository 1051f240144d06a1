# clang in place of gcc: one compiler for every target; it finds the cross gcc's libraries. Left to
# itself CMake would take this machine's binutils with it.
set(CMAKE_C_COMPILER clang)
set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_C_COMPILER_TARGET ${triplet})
set(CMAKE_CXX_COMPILER_TARGET ${triplet})
foreach(tool ar ranlib nm strip objcopy)
    string(TOUPPER ${tool} name)
    find_program(CMAKE_${name} ${triplet}-${tool} REQUIRED)
endforeach()
find_program(CMAKE_LINKER ${triplet}-ld REQUIRED)
