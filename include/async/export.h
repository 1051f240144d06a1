/* export.h: what a declaration of the public interface carries. */
#ifndef ASYNC_EXPORT_H
#define ASYNC_EXPORT_H

#if defined(ASYNC_BUILD) && !defined(ASYNC_STATIC)
#define ASYNC_API __attribute__((visibility("default")))
#else
#define ASYNC_API
#endif

/* The result says whether the call did its work: not looking at it is a mistake. */
#define ASYNC_CHECKED                     __attribute__((warn_unused_result))
#define ASYNC_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

#ifdef __cplusplus
#define ASYNC_EXTERN_BEGIN extern "C" {
#define ASYNC_EXTERN_END   }
#else
#define ASYNC_EXTERN_BEGIN
#define ASYNC_EXTERN_END
#endif

#endif
