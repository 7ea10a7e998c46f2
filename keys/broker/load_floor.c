#include "keys/broker/load_floor.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { FLOOR_TOKEN = 2600, FLOOR_JWE = 700, FLOOR_NONCE = 80 };

struct floor_keys {
    SSL_CTX  *tls;
    EVP_PKEY *report, *issuer, *token, *peer; /* P-384, RSA-4096, P-256, P-256 */
    uint8_t   report_signature[256], issuer_signature[512];
    size_t    report_signature_len, issuer_signature_len;
};

static const uint8_t FLOOR_MESSAGE[672] = { 1 };

static void sign(EVP_PKEY *key, const EVP_MD *md, uint8_t *signature, size_t *len)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    load_must(EVP_DigestSignInit(ctx, NULL, md, NULL, key) == 1 &&
             EVP_DigestSign(ctx, signature, len, FLOOR_MESSAGE, sizeof FLOOR_MESSAGE) == 1, "sign");
}

static void verify(EVP_PKEY *key, const EVP_MD *md, const uint8_t *signature, size_t len)
{
    AUTO(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    load_must(EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
             EVP_DigestVerify(ctx, signature, len, FLOOR_MESSAGE, sizeof FLOOR_MESSAGE) == 1, "verify");
}

static void agree(EVP_PKEY *peer)
{
    AUTO(pkey) EVP_PKEY         *ephemeral = EVP_EC_gen("P-256");
    AUTO(pkey_ctx) EVP_PKEY_CTX *ctx       = EVP_PKEY_CTX_new(ephemeral, NULL);
    uint8_t                      shared[32];
    size_t                       len = sizeof shared;

    load_must(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 && EVP_PKEY_derive(ctx, shared, &len) == 1,
         "agree on a key");
}

static void floor_open(struct floor_keys *k, const struct test_broker *broker)
{
    char certificate[PATH_MAX], key[PATH_MAX];

    test_broker_path(broker, "server.pem", certificate);
    test_broker_path(broker, "server.key", key);
    k->tls = SSL_CTX_new(TLS_server_method());
    load_must(k->tls && SSL_CTX_use_certificate_chain_file(k->tls, certificate) == 1 &&
             SSL_CTX_use_PrivateKey_file(k->tls, key, SSL_FILETYPE_PEM) == 1, "the floor's certificate");
    k->report = EVP_EC_gen("P-384");
    k->issuer = EVP_RSA_gen(4096);
    k->token  = EVP_EC_gen("P-256");
    k->peer   = EVP_EC_gen("P-256");
    k->report_signature_len = sizeof k->report_signature;
    k->issuer_signature_len = sizeof k->issuer_signature;
    sign(k->report, EVP_sha384(), k->report_signature, &k->report_signature_len);
    sign(k->issuer, EVP_sha384(), k->issuer_signature, &k->issuer_signature_len);
}

struct floor_connection {
    const struct floor_keys *keys;
    int                      fd;
};

static bool request_swallow(SSL *ssl)
{
    static _Thread_local char request[LOAD_ANSWER_MAX];
    size_t                    n = 0, wanted = 0;

    while (wanted == 0 || n < wanted) {
        int got = SSL_read(ssl, request + n, (int) (sizeof request - 1 - n));

        if (got <= 0)
            return false;
        n += (size_t) got;
        request[n] = 0;
        if (wanted == 0) {
            const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length:");

            wanted = end ? (size_t) (end - request) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0) : 0;
        }
    }
    return true;
}

static bool answer_fill(SSL *ssl, const char *front, size_t len)
{
    AUTO(buffer) struct buffer message = { 0 };

    buffer_printf(&message, "HTTP/1.1 200 OK\r\nSet-Cookie: kbs-session-id=0;\r\nContent-Length: %zu\r\n\r\n%s", len, front);
    memset(buffer_grow(&message, len - strlen(front)), 'x', len - strlen(front));
    return SSL_write(ssl, message.at, (int) message.len) == (int) message.len;
}

static void *floor_serve(void *owner)
{
    struct floor_connection *c     = owner;
    const struct floor_keys *k     = c->keys;
    SSL                     *ssl   = SSL_new(k->tls);
    uint8_t                  signature[128];
    size_t                   len = sizeof signature;

    if (ssl && SSL_set_fd(ssl, c->fd) == 1 && SSL_accept(ssl) == 1 && request_swallow(ssl) &&
        answer_fill(ssl, "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", FLOOR_NONCE) && request_swallow(ssl)) {
        verify(k->issuer, EVP_sha384(), k->issuer_signature, k->issuer_signature_len);
        verify(k->report, EVP_sha384(), k->report_signature, k->report_signature_len);
        sign(k->token, EVP_sha256(), signature, &len);
        if (answer_fill(ssl, "{", FLOOR_TOKEN) && request_swallow(ssl)) {
            verify(k->token, EVP_sha256(), signature, len);
            agree(k->peer);
            (void) answer_fill(ssl, "{", FLOOR_JWE); /* the client counts what came back */
        }
    }
    SSL_free(ssl);
    (void) close(c->fd); /* as above */
    free(c);
    return NULL;
}

static _Noreturn void floor_run(int listener, const struct test_broker *broker)
{
    struct floor_keys k = { 0 };

    floor_open(&k, broker);
    for (;;) {
        struct floor_connection *c = malloc(sizeof *c);
        pthread_t                thread;

        load_must(c != NULL, "memory");
        *c = (struct floor_connection){ &k, accept4(listener, NULL, NULL, SOCK_CLOEXEC) };
        load_must(c->fd >= 0 && load_goes_at_once(c->fd) && pthread_create(&thread, NULL, floor_serve, c) == 0 && pthread_detach(thread) == 0, "serve");
    }
}

static int listen_anywhere(int *port)
{
    struct sockaddr_in at  = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t          len = sizeof at;
    int                fd  = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    load_must(fd >= 0 && bind(fd, (struct sockaddr *) &at, sizeof at) == 0 && listen(fd, 1024) == 0 &&
             getsockname(fd, (struct sockaddr *) &at, &len) == 0, "listen");
    *port = ntohs(at.sin_port);
    return fd;
}

double load_floor_measure(const struct load_world *world, double seconds)
{
    struct load    load = { .world = world };
    int            listener = listen_anywhere(&load.port), status;
    pid_t          pid      = fork();
    struct outcome o;
    double         before, cpu;

    load_must(pid >= 0, "fork");
    if (pid == 0)
        floor_run(listener, &world->broker);
    (void) close(listener); /* the child's now */
    load.is_floor     = true;
    load.attestations = 1;
    (void) load_run(&load, 1, 60); /* it has made its keys when it answers */
    load = (struct load){ .world = world, .port = load.port, .is_floor = true };
    before = load_cpu_s(pid);
    o      = load_run(&load, LOAD_CLIENTS, seconds);
    cpu    = load_cpu_s(pid) - before;
    (void) kill(pid, SIGKILL); /* our own child */
    load_must(waitpid(pid, &status, 0) == pid, "end the floor");
    printf("floor:    %.0f/s, %.2f ms CPU each\n", o.per_second, cpu * 1000 / (double) (o.done ? o.done : 1));
    return cpu * 1000 / (double) (o.done ? o.done : 1);
}
