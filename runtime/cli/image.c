/* `cloister image`: encrypts the layers of an image for a key that the broker will hold, and back; makes them mountable. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/options.h"
#include "keys/ocicrypt/jwe_recipient.h"
#include "keys/ocicrypt/key_file.h"
#include "keys/ocicrypt/packet.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/verb.h"
#include "runtime/erofs/image_convert.h"
#include "runtime/oci/image_crypt.h"

#define CONVERT_SYNOPSIS "--format erofs SRC DST"

enum { EXIT_FAILED = 1, EXIT_UNUSABLE = 2 };

struct image_options {
    const char *key_id, *key_file, *recipient, *opener;
    bool        json;
};

struct image_verb {
    const char *name;
    bool (*run)(const struct image_crypt *job, struct image_crypt_outcome *out, struct err *err);
    bool        wants_key_id;
    const char *synopsis, *about, *notes;
};

static const struct image_verb verbs[] = {
    { "encrypt", image_encrypt, true, "--key-id kbs:///R/T/G --key-file FILE SRC DST",
      "Encrypts every layer of an image. The key in FILE is to be stored at the broker under the key id.",
      "SRC and DST are oci:DIR[:TAG]. FILE holds exactly 32 bytes: openssl rand -out FILE 32\n"
      "Layers that another tool encrypted for a public key (skopeo --encryption-key jwe:PEM) keep their ciphertext\n"
      "and get the broker's key as a further recipient: open them with --opener.\n" },
    { "decrypt", image_decrypt, false, "--key-file FILE | --opener PEM  SRC DST", "Decrypts every layer of an image.",
      "SRC and DST are oci:DIR[:TAG].\n" },
};

static int fail(const struct err *err, int code)
{
    fprintf(stderr, "cloister: image: %s\n", err->text);
    return code;
}

/* One line that is written over, for a person at a terminal. */
static void show_progress(void *owner, size_t layer, size_t n_layers, uint64_t bytes, uint64_t of)
{
    (void) owner; /* there is but one terminal */
    fprintf(stderr, "\rlayer %zu of %zu: %llu of %llu MiB\033[K%s", layer, n_layers, (unsigned long long) (bytes >> 20),
            (unsigned long long) (of >> 20), layer == n_layers && bytes == of ? "\r\033[K" : "");
}

static void show_outcome(const struct image_crypt_outcome *outcome, const char *destination, bool as_json)
{
    AUTO(json) struct json_object *json = json_object_new_object();
    AUTO(buffer) struct buffer     text = { 0 };

    if (!as_json) {
        printf("%s\n", outcome->manifest.at);
        return;
    }
    json_add_text(json, "image", destination);
    json_add_text(json, "manifest", outcome->manifest.at);
    json_add(json, "layers", json_object_new_uint64(outcome->n_layers));
    json_add(json, "bytes", json_object_new_uint64(outcome->bytes));
    json_write(json, &text);
    puts(buffer_text(&text));
}

static FALLIBLE options_check(const struct image_verb *verb, const struct image_options *options, size_t n_operands,
                              char kid[static ENC_KID_MAX + 1], struct err *err)
{
    if (n_operands != 2)
        return fail_with(err, ERR_CONFIG, "%s: SRC and DST are wanted, found %zu operands (see cloister image %s --help)",
                         verb->name, n_operands, verb->name);
    if (!options->key_file && !verb->wants_key_id)
        return options->opener || fail_with(err, ERR_CONFIG, "%s: give --key-file FILE, the key that the image was encrypted with, or --opener PEM", verb->name);
    if (!options->key_file)
        return fail_with(err, ERR_CONFIG, "%s: --key-file is missing; make a key with `openssl rand -out FILE 32`",
                         verb->name);
    if (!verb->wants_key_id)
        return true;
    if (!options->key_id)
        return fail_with(err, ERR_CONFIG, "%s: --key-id is missing: kbs:///REPOSITORY/TYPE/TAG, where the broker will "
                         "hold the key", verb->name);
    return kid_read(bytes_of_text(options->key_id), kid, err) || context(err, "--key-id");
}

static FALLIBLE keys_read(const struct image_options *options, struct secret *kek, EVP_PKEY **recipient,
                          EVP_PKEY **opener, struct err *err)
{
    return (!options->key_file || key_file_read(options->key_file, kek, err)) &&
           (!options->recipient || jwe_public_key_read(options->recipient, recipient, err)) &&
           (!options->opener || jwe_private_key_read(options->opener, opener, err));
}

static int verb_run(const struct image_verb *verb, int argc, char **argv)
{
    struct image_options    options = { 0 };
    const struct option_row rows[]  = {
        { "key-file", OPTION_TEXT, &options.key_file, "FILE", "the 32 bytes of the key", 0, 0 },
        { "opener", OPTION_TEXT, &options.opener, "PEM", "private EC key that opens layers encrypted elsewhere", 0, 0 },
        { "json", OPTION_FLAG, &options.json, NULL, "print the outcome as JSON", 0, 0 },
        { "key-id", OPTION_TEXT, &options.key_id, "ID", "kbs:///REPOSITORY/TYPE/TAG", 0, 0 },
        { "recipient", OPTION_TEXT, &options.recipient, "PEM", "public EC key that opens the layers too, with any tool", 0, 0 },
    };
    char                       command[64], kid[ENC_KID_MAX + 1] = "";
    const struct option_table  table = { .command  = command,
                                         .synopsis = verb->synopsis,
                                         .about    = verb->about,
                                         .notes    = verb->notes,
                                         .rows     = rows,
                                         .n_rows   = verb->wants_key_id ? 5 : 3 };
    AUTO(secret) struct secret kek      = { 0 };
    AUTO(pkey) EVP_PKEY       *recipient = NULL, *opener = NULL;
    struct layout_reference    from, to;
    struct image_crypt         job      = { .from = &from, .to = &to, .kid = kid, .kek = &kek };
    struct image_crypt_outcome outcome  = { 0 };
    enum options_outcome       parsed   = OPTIONS_RUN;
    char                     **operands = NULL;
    size_t                     n        = 0;
    struct err                 err      = { 0 };

    (void) snprintf(command, sizeof command, "cloister image %s", verb->name); /* fits any verb */
    if (!options_parse(&table, argc, argv, &parsed, &operands, &n, &err))
        return fail(&err, EXIT_UNUSABLE);
    if (parsed == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!options_check(verb, &options, n, kid, &err) || !layout_reference_read(operands[0], &from, &err) ||
        !layout_reference_read(operands[1], &to, &err) || !keys_read(&options, &kek, &recipient, &opener, &err))
        return fail(&err, EXIT_UNUSABLE);
    job.recipient = recipient;
    job.opener    = opener;
    if (isatty(STDERR_FILENO))
        job.progress = show_progress;
    if (!verb->run(&job, &outcome, &err))
        return fail(&err, EXIT_FAILED);
    show_outcome(&outcome, operands[1], options.json);
    return 0;
}

static void show_converted(const struct image_convert_outcome *outcome, const char *destination, bool as_json)
{
    AUTO(json) struct json_object *json = json_object_new_object();
    AUTO(buffer) struct buffer     text = { 0 };

    if (!as_json) {
        printf("%s\n", outcome->manifest.at);
        return;
    }
    json_add_text(json, "image", destination);
    json_add_text(json, "manifest", outcome->manifest.at);
    json_add(json, "layers", json_object_new_uint64(outcome->n_layers));
    json_add(json, "files", json_object_new_uint64(outcome->n_files));
    json_add(json, "bytes", json_object_new_uint64(outcome->bytes));
    json_write(json, &text);
    puts(buffer_text(&text));
}

static int run_convert(int argc, char **argv)
{
    const char                  *format  = NULL;
    bool                         json    = false;
    const struct option_row      rows[]  = {
        { "format", OPTION_TEXT, &format, "FORMAT", "erofs: one file system with its hash tree", 0, 0 },
        { "json", OPTION_FLAG, &json, NULL, "print the outcome as JSON", 0, 0 },
    };
    const struct option_table    table   = { .command = "cloister image convert", .synopsis = CONVERT_SYNOPSIS,
                                             .about = "Makes of an image's layers one that a guest mounts instead of unpacking it.",
                                             .rows = rows, .n_rows = sizeof rows / sizeof *rows,
                                             .notes = "SRC and DST are oci:DIR[:TAG]. Convert first, then encrypt, then sign.\n" };
    struct layout_reference      from, to;
    struct image_convert_outcome outcome = { 0 };
    enum options_outcome         parsed  = OPTIONS_RUN;
    char                       **operands = NULL;
    size_t                       n        = 0;
    struct err                   err      = { 0 };

    if (!options_parse(&table, argc, argv, &parsed, &operands, &n, &err))
        return fail(&err, EXIT_UNUSABLE);
    if (parsed == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if ((!format || strcmp(format, "erofs") != 0) && !fail_with(&err, ERR_CONFIG, "convert: --format erofs is wanted"))
        return fail(&err, EXIT_UNUSABLE);
    if (n != 2 && !fail_with(&err, ERR_CONFIG, "convert: SRC and DST are wanted, found %zu operands", n))
        return fail(&err, EXIT_UNUSABLE);
    if (!layout_reference_read(operands[0], &from, &err) || !layout_reference_read(operands[1], &to, &err))
        return fail(&err, EXIT_UNUSABLE);
    if (!image_convert(&from, &to, &outcome, &err))
        return fail(&err, EXIT_FAILED);
    show_converted(&outcome, operands[1], json);
    return 0;
}

int cmd_image(int argc, char **argv)
{
    bool  wants_help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    FILE *to         = wants_help ? stdout : stderr;

    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verb_run(&verbs[i], argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "convert") == 0)
        return run_convert(argc - 1, argv + 1);
    if (argc > 1 && !wants_help)
        return verb_refuse("image", argv[1], "encrypt, decrypt or convert; see cloister image --help");
    fprintf(to, "Usage:\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(to, "  cloister image %s %s\n", verbs[i].name, verbs[i].synopsis);
    fprintf(to, "  cloister image convert " CONVERT_SYNOPSIS "\n");
    return wants_help ? 0 : EXIT_UNUSABLE;
}
