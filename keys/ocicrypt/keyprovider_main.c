/* cloister-keyprovider: an ocicrypt key provider, in exec form and by gRPC, for skopeo, buildah and nerdctl. */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "base/file.h"
#include "base/options.h"
#include "keys/client/admin.h"
#include "keys/grpc/grpc_server.h"
#include "keys/grpc/keyprovider_service.h"
#include "keys/ocicrypt/key_file.h"
#include "keys/ocicrypt/keyprovider.h"
#include "keys/ocicrypt/limits.h"

enum { PEM_LEN_MAX = 64 << 10 };

struct arguments {
    const char *broker, *admin_key, *ca, *grpc;
};

static bool file_key(void *owner, const char *path, struct secret *out, struct err *err)
{
    (void) owner; /* files belong to nobody here */
    return key_file_read(path, out, err);
}

static bool broker_fetch(void *owner, const char *kid, struct secret *out, struct err *err)
{
    return admin_resource_get(owner, kid, out, err) || context(err, kid);
}

static bool broker_keep(void *owner, const char *kid, const struct secret *key, struct err *err)
{
    return admin_resource_put(owner, kid, key, err) || context(err, kid);
}

static FALLIBLE broker_open(const struct arguments *a, struct admin_client **out, struct err *err)
{
    AUTO(buffer) struct buffer key = { 0 }, ca = { 0 };
    bool                       is_open;

    if (!a->admin_key || !a->ca)
        return fail_with(err, ERR_CONFIG, "--broker wants --admin-key and --broker-ca");
    if (!file_read(a->ca, PEM_LEN_MAX, &ca, err) || !file_read(a->admin_key, PEM_LEN_MAX, &key, err))
        return false;

    struct admin_options options = { .url = a->broker, .ca_pem = buffer_bytes(&ca), .key_pem = buffer_bytes(&key) };

    is_open = admin_client_new(&options, out, err);
    OPENSSL_cleanse(key.at, key.len);
    return is_open;
}

/* Where keys are kept; `client` is yours. */
static FALLIBLE keys_open(const struct arguments *a, struct keyprovider_keys *keys, struct admin_client **client, struct err *err)
{
    *keys = (struct keyprovider_keys){ .file = file_key };
    if (!secret_heap_open(err) || (a->broker && !broker_open(a, client, err)))
        return false;
    if (*client) {
        keys->fetch = broker_fetch;
        keys->keep  = broker_keep;
        keys->owner = *client;
    }
    return true;
}

/* ---- by gRPC, until a signal comes ---- */

struct service {
    struct loop        *loop;
    struct loop_source  signals;
    struct grpc_server *server;
};

static void auto_service(struct service *s)
{
    grpc_server_free(s->server);
    loop_remove(&s->signals);
    auto_fd(&s->signals.fd);
    loop_free(s->loop);
}

static void signal_came(struct loop_source *source, uint32_t events)
{
    struct service *s = source->owner;

    (void) events;
    loop_stop(s->loop);
}

static FALLIBLE serve(const struct arguments *a, struct err *err)
{
    static const int                        SIGNALS[] = { SIGTERM, SIGINT };
    AUTO(admin_client) struct admin_client *client    = NULL;
    AUTO(service) struct service            s         = { .signals.fd = NO_FD };
    struct keyprovider_keys                 keys;

    if (!keys_open(a, &keys, &client, err) || !loop_new(&s.loop, err) || !loop_signal_fd(SIGNALS, 2, &s.signals.fd, err))
        return false;
    s.signals.ready = signal_came;
    s.signals.owner = &s;
    if (!loop_add(s.loop, &s.signals, EPOLLIN, err) || !grpc_server_new(s.loop, a->grpc, keyprovider_call, &keys, &s.server, err))
        return false;
    printf("listening on %s\n", grpc_server_address(s.server));
    return (fflush(stdout) == 0 || err_os(err, "say that it listens")) && loop_run(s.loop, err);
}

/* ---- the exec form ---- */

static FALLIBLE answer_one(const struct arguments *a, struct err *err)
{
    AUTO(buffer) struct buffer              request = { 0 };
    AUTO(secret) struct secret              answer  = { 0 };
    AUTO(admin_client) struct admin_client *client  = NULL;
    struct keyprovider_keys                 keys;

    return keys_open(a, &keys, &client, err) && file_read_fd(STDIN_FILENO, KEYPROVIDER_INPUT_MAX, &request, err) &&
           keyprovider_answer(buffer_bytes(&request), &keys, &answer, err) &&
           write_all(STDOUT_FILENO, secret_expose(&answer), err);
}

int main(int argc, char **argv)
{
    struct arguments          a      = { 0 };
    const struct option_row   rows[] = {
        { "grpc", OPTION_TEXT, &a.grpc, "ADDR", "serve by gRPC until a signal comes: an absolute path, or 127.0.0.1:PORT", 0, 0 },
        { "broker", OPTION_TEXT, &a.broker, "URL", "make keys there, and register those of files", 0, 0 },
        { "admin-key", OPTION_TEXT, &a.admin_key, "FILE", "with --broker: an administrator's private key, PEM", 0, 0 },
        { "broker-ca", OPTION_TEXT, &a.ca, "FILE", "with --broker: its CA, PEM", 0, 0 },
    };
    const struct option_table table = {
        .command  = "cloister-keyprovider",
        .synopsis = "[OPTION]... < REQUEST > ANSWER, or --grpc ADDR [OPTION]...",
        .about    = "Wraps and unwraps the keys of image layers for tools that speak ocicrypt's key provider protocol.",
        .rows     = rows,
        .n_rows   = sizeof rows / sizeof *rows,
        .notes    = "Name it in the file that OCICRYPT_KEYPROVIDER_CONFIG names:\n"
                    "  {\"key-providers\":{\"attestation-agent\":{\"cmd\":{\"path\":\"/usr/bin/cloister-keyprovider\"}}}}\n"
                    "then encrypt and decrypt with\n"
                    "  skopeo copy --encryption-key provider:attestation-agent:"
                    "keyid=kbs:///R/T/G::keypath=KEY oci:PLAIN oci:SECRET\n"
                    "  skopeo copy --decryption-key provider:attestation-agent:keypath=KEY oci:SECRET oci:PLAIN\n"
                    "KEY is a file of 32 random bytes, with an absolute path.\n"
                    "With \"args\":[\"--broker\",URL,\"--admin-key\",FILE,\"--broker-ca\",FILE] beside \"path\", keypath may be left\n"
                    "out: the key is made and registered at the broker under keyid, or under a name of its own.\n"
                    "With --grpc it goes on running, for\n"
                    "  {\"key-providers\":{\"attestation-agent\":{\"grpc\":\"unix:///run/user/1000/keyprovider.sock\"}}}\n"
                    "A path is open to its owner; a port to every user of this machine, who then may what the admin key may.\n",
    };
    enum options_outcome outcome  = OPTIONS_RUN;
    struct err           err      = { 0 };
    char               **operands = NULL;
    size_t               n        = 0;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err)) {
        fprintf(stderr, "cloister-keyprovider: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (n > 0) {
        fprintf(stderr, "cloister-keyprovider: an operand is not wanted; see --help\n");
        return 2;
    }
    if (a.grpc ? !serve(&a, &err) : !answer_one(&a, &err)) {
        fprintf(stderr, "cloister-keyprovider: %s\n", err.text);
        return 1;
    }
    return 0;
}
