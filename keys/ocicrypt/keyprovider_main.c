/* cloister-keyprovider: the exec form of an ocicrypt key provider, for skopeo, buildah and nerdctl. */
#include <stdio.h>

#include "base/file.h"
#include "base/options.h"
#include "keys/ocicrypt/key_file.h"
#include "keys/ocicrypt/keyprovider.h"
#include "keys/ocicrypt/limits.h"

static bool file_key(void *owner, const char *path, struct secret *out, struct err *err)
{
    (void) owner; /* files belong to nobody here */
    return key_file_read(path, out, err);
}

static FALLIBLE answer_one(struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };
    AUTO(secret) struct secret answer  = { 0 };

    return secret_heap_open(err) && file_read_fd(STDIN_FILENO, KEYPROVIDER_INPUT_MAX, &request, err) &&
           keyprovider_answer(buffer_bytes(&request), file_key, NULL, &answer, err) &&
           write_all(STDOUT_FILENO, secret_expose(&answer), err);
}

int main(int argc, char **argv)
{
    const struct option_table table = {
        .command  = "cloister-keyprovider",
        .synopsis = "< REQUEST > ANSWER",
        .about    = "Wraps and unwraps the keys of image layers for tools that speak ocicrypt's key provider protocol.",
        .notes    = "Name it in the file that OCICRYPT_KEYPROVIDER_CONFIG names:\n"
                    "  {\"key-providers\":{\"attestation-agent\":{\"cmd\":{\"path\":\"/usr/bin/cloister-keyprovider\"}}}}\n"
                    "then encrypt and decrypt with\n"
                    "  skopeo copy --encryption-key provider:attestation-agent:"
                    "keyid=kbs:///R/T/G::keypath=KEY oci:PLAIN oci:SECRET\n"
                    "  skopeo copy --decryption-key provider:attestation-agent:keypath=KEY oci:SECRET oci:PLAIN\n"
                    "KEY is a file of 32 random bytes, with an absolute path.\n"
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
    if (!answer_one(&err)) {
        fprintf(stderr, "cloister-keyprovider: %s\n", err.text);
        return 1;
    }
    return 0;
}
