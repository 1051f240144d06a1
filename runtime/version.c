/* version.c: the version that this library was built as.
 * Layer: 4 */
#include <async/version.h>

const char *async_version(void) { return ASYNC_VERSION_STRING; }
