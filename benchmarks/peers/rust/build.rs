// The kernels are those of the other programs: CMake says where their library is.
fn main() {
    let folder = std::env::var("KERNELS_DIR").expect("KERNELS_DIR: built by CMake only");
    println!("cargo:rustc-link-search=native={folder}");
    println!("cargo:rustc-link-lib=static=benchmark_kernels");
    println!("cargo:rerun-if-env-changed=KERNELS_DIR");
    println!("cargo:rerun-if-changed={folder}/libbenchmark_kernels.a");
}
