/* Clients of the load benchmark: guests that attest and ask for a secret, on connections of their own, many at once. */
#pragma once

#include <openssl/ssl.h>

#include "tests/harness/broker.h"

#define LOAD_URI  "kbs:///default/key/1"
#define LOAD_PATH "/kbs/v0/resource/default/key/1"

enum { LOAD_ANSWER_MAX = 64 << 10, LOAD_CLIENTS = 8 };

/* What all of them share; nobody changes it while they run. */
struct load_world {
    struct test_broker broker;
    SSL_CTX           *client_ctx;
    struct secret      stored; /* what the broker has to give */
};

struct load {
    const struct load_world *world;
    int              port;
    double           until;
    bool             keeps_connection; /* one attestation, then resources on the same connection */
    const char      *path;             /* of those resources */
    int              status;           /* that they are answered with */
    bool             is_floor;         /* answers only look like those of a broker */
    int              attestations;     /* each client stops after so many; 0: at `until` */
    _Atomic uint64_t done, shed, failed;
};

struct outcome {
    double   seconds, per_second, p50, p99;
    uint64_t done, shed, failed;
};

struct outcome load_run(struct load *load, size_t n_clients, double seconds);

/* Ends the program when it is not so. */
void load_must(bool fine, const char *what);
/* A socket whose small pieces are not kept back. */
bool load_goes_at_once(int fd);

/* CPU seconds of a process and its threads. */
double load_cpu_s(pid_t pid);
