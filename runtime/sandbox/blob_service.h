/*
 * Serves an OCI layout's blobs to a guest by digest, on the port `cloister.blobs`. The guest is hostile here: it
 * may ask for any digest, offset and length, and gets bytes of that layout's blobs folder or a refusal.
 */
#pragma once

#include "guest/api/connection.h"

struct blob_service;

/*
 *   layout_fd   an open directory that holds blobs/sha256/…; taken, also on failure
 *   fd          our end of the port; taken, also on failure
 */
FALLIBLE blob_service_new(struct loop *loop, int layout_fd_take, int fd_take, struct blob_service **out,
                          struct err *err);
/* A second directory, for blobs that the first does not have; taken. */
void     blob_service_add(struct blob_service *service, int layout_fd_take);
/* From now on only blobs that `may_read` names are given out: a store may hold others' as well. */
void     blob_service_guard(struct blob_service *service, bool (*may_read)(void *owner, const char *digest), void *owner);
void     blob_service_free(struct blob_service *service);
DEFINE_AUTO(blob_service, struct blob_service *, blob_service_free)

/* The path of a blob below the layout, or MALFORMED when `digest` is not "sha256:" and 64 lower-case hex digits. */
enum { BLOB_PATH_LEN = 13 + 64 + 1 };
FALLIBLE blob_path(const char *digest, char path[static BLOB_PATH_LEN], struct err *err);
