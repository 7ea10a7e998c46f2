/* The keeper's parts while it is awake, for its own files only. Questions and images are done by threads, everything else by its loop. */
#pragma once

#include <pthread.h>

#include "attestation/attester/attester.h"
#include "guest/agent/keeper.h"
#include "guest/agent/keeper_volumes.h"
#include "guest/agent/measurements.h"
#include "guest/agent/resting.h"
#include "guest/agent/shared_images.h"
#include "guest/agent/workers.h"
#include "guest/api/call.h"
#include "guest/api/connection.h"
#include "guest/registry/obtain.h"
#include "keys/api/sealed_secret.h"
#include "keys/client/kbs.h"

enum { SPANS_MAX = 8, ASKERS = 4, CLIENTS = ASKERS + 3 /* each keeps a connection to the broker */ };
_Static_assert((int) CLIENTS <= (int) TUNNEL_CONNECTIONS_MAX, "the host's tunnel has room for each");

struct keeper {
    const struct keeper_options *fds;
    struct loop       *loop;
    struct ttrpc_connection *connection; /* to PID 1 */
    struct loop_source timer;            /* looks whether there is still something to do: */
    bool               was_asked;        /* since the last look */
    bool               is_over;
    pthread_mutex_t    tunnel_lock;   /* one connection is asked for at a time; zeros are PTHREAD_MUTEX_INITIALIZER */
    struct attester   *attester;
    struct measurements measured; /* over that */
    struct buffer      initdata_text;
    struct kbs_client *client;        /* of images */
    struct kbs_client *of_loop;       /* of volumes: the same session, a connection of its own, as the next */
    struct kbs_client *askers[ASKERS]; /* of what workloads ask: the same session, connections of their own */
    struct workers    *puller, *questions; /* one thread, and ASKERS: an image that takes long keeps no workload waiting */
    struct kbs_client *for_workloads; /* another session with another key: they are given it */
    int                blobs_fd;
    struct ttrpc_client blobs;
    bool                is_prepared;
    pthread_mutex_t     signer_lock;                /* of the next two */
    char                signer[SEALED_URI_MAX + 1]; /* who sealed the last secret, */
    EVP_PKEY           *signer_key;                 /* and the key that the broker gave for that */
    EVP_PKEY           *receipt_key;   /* made for the first receipt; gone with the guest */
    struct ttrpc_client fetcher;
    struct image_settings settings; /* of the initdata */
    bool                is_fetcher_ready, has_other_sources, is_host_full;
    struct shared_images images; /* the puller's alone */
    struct keeper_volumes volumes;
};

/* Spans of one answer, with room for their texts to be pointed to. */
struct spans {
    Keeper__Span  rows[SPANS_MAX];
    Keeper__Span *at[SPANS_MAX];
    size_t        n;
    uint64_t      begin_ms; /* of the next */
};

void spans_add(struct spans *spans, const char *phase, uint64_t end_ms);

/* What is known of the image, and what went wrong though it turned out well. */
struct unpacked {
    struct buffer         config;
    struct image_progress progress;
    struct digest_text    digest;
    struct shared_root    root;
};

static inline void auto_unpacked(struct unpacked *u)
{
    buffer_free(&u->config);
    auto_shared_root(&u->root);
}

/* A question on its way through a worker and back. */
struct errand {
    struct work          work; /* first: the worker knows only that */
    struct keeper       *keeper;
    struct ttrpc_pending pending;
    ProtobufCMessage    *request; /* a copy of its own */
    bool                 is_done; /* with what the question's kind fills in of the rest; else */
    struct err           why;
    struct secret        secret;
    struct sealed_secret sealed;
    struct unpacked      unpacked;
    struct spans         spans;
};

extern const struct ttrpc_row keeper_rows[];
extern const size_t keeper_n_rows;

void keeper_begin(struct keeper *k); /* with `fds` */
awake_fn keeper_awake;               /* `owner`: struct keeper_options */

/* Hands a question to workers. Refuses before the guest has attested. */
void keeper_send(struct keeper *k, struct workers *to, struct ttrpc_pending pending, const ProtobufCMessage *request,
                 void (*run)(struct work *work, void *own), void (*done)(struct work *work));
/* Ends one in its `done`: answers with `message`, or refuses. */
void keeper_end(struct errand *errand, const ProtobufCMessage *message);

void keeper_give(struct ttrpc_pending pending, struct bytes content);
struct kbs_attester keeper_attester(struct keeper *k);

void keeper_serve_prepare(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message);

/* keeper_secrets: what workloads may have of the broker */
void keeper_serve_resource(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message);
void keeper_serve_unseal(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message);
void keeper_serve_token(void *owner, struct ttrpc_pending pending, const ProtobufCMessage *message);
