/* cloister-keyprovider: the exec form of an ocicrypt key provider, for skopeo, buildah and nerdctl. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/file.h"
#include "base/options.h"
#include "keys/client/admin.h"
#include "keys/ocicrypt/key_file.h"
#include "keys/ocicrypt/keyprovider.h"
#include "keys/ocicrypt/limits.h"

enum { PEM_LEN_MAX = 64 << 10 };

struct arguments {
    const char *broker, *admin_key, *ca;
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

static FALLIBLE answer_one(const struct arguments *a, struct err *err)
{
    AUTO(buffer) struct buffer              request = { 0 };
    AUTO(secret) struct secret              answer  = { 0 };
    AUTO(admin_client) struct admin_client *client  = NULL;
    struct keyprovider_keys                 keys    = { .file = file_key };

    if (!secret_heap_open(err) || (a->broker && !broker_open(a, &client, err)))
        return false;
    if (client) {
        keys.fetch = broker_fetch;
        keys.keep  = broker_keep;
        keys.owner = client;
    }
    return file_read_fd(STDIN_FILENO, KEYPROVIDER_INPUT_MAX, &request, err) &&
           keyprovider_answer(buffer_bytes(&request), &keys, &answer, err) &&
           write_all(STDOUT_FILENO, secret_expose(&answer), err);
}

int main(int argc, char **argv)
{
    struct arguments          a      = { 0 };
    const struct option_row   rows[] = {
        { "broker", OPTION_TEXT, &a.broker, "URL", "make keys there, and register those of files", 0, 0 },
        { "admin-key", OPTION_TEXT, &a.admin_key, "FILE", "with --broker: an administrator's private key, PEM", 0, 0 },
        { "broker-ca", OPTION_TEXT, &a.ca, "FILE", "with --broker: its CA, PEM", 0, 0 },
    };
    const struct option_table table = {
        .command  = "cloister-keyprovider",
        .synopsis = "[OPTION]... < REQUEST > ANSWER",
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
                    "out: the key is made and registered at the broker under keyid, or under a name of its own.\n",
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
    if (!answer_one(&a, &err)) {
        fprintf(stderr, "cloister-keyprovider: %s\n", err.text);
        return 1;
    }
    return 0;
}
