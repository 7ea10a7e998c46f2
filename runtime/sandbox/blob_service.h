/*
 * Serves blobs to a guest by digest, on the port `cloister.blobs`: those of an OCI layout, and those of the node's
 * cache, to which it also takes what the guest offers. The guest is hostile here: it may ask for any digest, offset
 * and length, and gets bytes of those folders or a refusal.
 */
#pragma once

#include "guest/api/connection.h"

struct blob_service;

struct blob_service_options {
    const char *layout;    /* directory that holds blobs/sha256/…; NULL: none */
    const char *more;      /* a second one, for blobs that the first does not have; NULL, or not there: none */
    bool      (*may_read)(void *owner, const char *digest); /* of them and of the cache, and what it may bring in: a store may hold others' as well. NULL: all */
    void      (*kept)(void *owner, const char *digest); /* what it brought is in the cache; before it is answered. NULL: nobody cares */
    void       *owner;
    const char *cache;     /* directory of the node's cache; NULL: none, and nothing that is offered is kept */
    uint64_t    cache_max; /* bytes of it */
};

/* `fd` is our end of the port; taken, also on failure. */
FALLIBLE blob_service_new(struct loop *loop, const struct blob_service_options *options, int fd_take,
                          struct blob_service **out, struct err *err);
void     blob_service_free(struct blob_service *service);
DEFINE_AUTO(blob_service, struct blob_service *, blob_service_free)
