/* `cloister policy gen`: initdata that allows exactly what a Kubernetes manifest asks for. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/api/initdata.h"
#include "runtime/cli/pod_yaml.h"
#include "runtime/cli/policy.h"

enum { CA_LEN_MAX = 64 << 10 };

struct gen_request {
    const char        *file;
    const char        *broker_url;
    const char        *broker_ca;
    struct option_list images;
    bool               json;
};

static void summarise(struct json_object *containers)
{
    for (size_t i = 0; i < json_object_array_length(containers); i++) {
        struct json_object *c    = json_object_array_get_idx(containers, i);
        struct json_object *args = json_object_object_get(c, "args");
        struct json_object *env  = json_object_object_get(c, "env");

        (void) fprintf(stderr, "allowed: container %s from %s, %s, %zu variables; its output may be read, nothing executed in it\n",
                       json_object_get_string(json_object_object_get(c, "name")),
                       json_object_get_string(json_object_object_get(c, "image")),
                       args ? json_object_to_json_string_ext(args, JSON_C_TO_STRING_NOSLASHESCAPE) : "the image's own command",
                       json_object_array_length(env));
    }
    (void) fputs("denied: everything else\n", stderr);
}

static FALLIBLE write_document(const struct gen_request *r, struct json_object *containers, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer     ca = { 0 }, broker = { 0 }, policy = { 0 };
    AUTO(json) struct json_object *object  = json_object_new_object();
    struct initdata_entry          entries[2];
    size_t                         n = 0;

    if (r->broker_url) {
        if (!r->broker_ca || !file_read(r->broker_ca, CA_LEN_MAX, &ca, err))
            return r->broker_ca ? context(err, "--broker-ca")
                                : fail_with(err, ERR_CONFIG, "--broker needs --broker-ca FILE: the certificate that the guest trusts");
        if (!is_utf8(buffer_bytes(&ca)) || !strstr(buffer_text(&ca), "-----BEGIN CERTIFICATE-----"))
            return fail_with(err, ERR_CONFIG, "--broker-ca %.120s: a PEM certificate is wanted", r->broker_ca);
        initdata_write_broker(r->broker_url, buffer_text(&ca), &broker);
        entries[n++] = (struct initdata_entry){ "aa.toml", buffer_text(&broker) };
    }
    for (size_t i = 0; i < json_object_array_length(containers); i++)
        json_object_object_del(json_object_array_get_idx(containers, i), "name");
    json_add(object, "containers", json_object_get(containers));
    json_write(object, &policy);
    entries[n++] = (struct initdata_entry){ "policy.json", buffer_text(&policy) };
    initdata_write(INITDATA_SHA256, entries, n, out);
    return true;
}

static FALLIBLE print_document(const struct gen_request *r, struct buffer *text, struct err *err)
{
    if (!r->json)
        return printf("%s", buffer_text(text)) >= 0 || err_os(err, "standard output");

    AUTO(initdata) struct initdata initdata = { 0 };
    AUTO(json) struct json_object *object   = json_object_new_object();
    AUTO(buffer) struct buffer     out      = { 0 };
    if (!initdata_read(buffer_bytes(text), &initdata, err))
        return false;
    json_add_text(object, "initdata", buffer_text(text));
    json_add_hex(object, "digest", (struct bytes){ initdata.digest, initdata.digest_len });
    json_write(object, &out);
    return printf("%s\n", buffer_text(&out)) >= 0 || err_os(err, "standard output");
}

static FALLIBLE generate(const struct gen_request *r, struct err *err)
{
    AUTO(buffer) struct buffer     manifest = { 0 }, text = { 0 };
    AUTO(json) struct json_object *containers = NULL;

    if (!r->file)
        return fail_with(err, ERR_CONFIG, "-f POD.yaml is wanted (see --help)");
    bool ok = strcmp(r->file, "-") == 0 ? file_read_fd(STDIN_FILENO, POD_YAML_LEN_MAX, &manifest, err)
                                        : file_read(r->file, POD_YAML_LEN_MAX, &manifest, err);
    if (!ok || !pod_yaml_read(buffer_bytes(&manifest), &r->images, &containers, err))
        return contextf(err, "%.80s", r->file);
    summarise(containers);
    return write_document(r, containers, &text, err) && print_document(r, &text, err);
}

int policy_gen(int argc, char **argv)
{
    char                      file_option[] = "--file"; /* -f, as kubectl has it */
    struct gen_request        r             = { .file = NULL };
    const struct option_row   rows[]        = {
        { .name = "file", .kind = OPTION_TEXT, .into = &r.file, .value = "FILE", .help = "the manifest, also -f; - reads standard input" },
        { .name = "image", .kind = OPTION_LIST, .into = &r.images, .value = "NAME=sha256:...", .help = "the digest of an image that the manifest names without one; may be given again" },
        { .name = "broker", .kind = OPTION_TEXT, .into = &r.broker_url, .value = "URL", .help = "the broker to attest to" },
        { .name = "broker-ca", .kind = OPTION_TEXT, .into = &r.broker_ca, .value = "FILE", .help = "the broker's certificate, PEM" },
        { .name = "json", .kind = OPTION_FLAG, .into = &r.json, .help = "print {\"initdata\", \"digest\"}" },
    };
    const struct option_table table = { .command = "cloister policy gen", .synopsis = "[OPTION]... -f POD.yaml",
        .about = "Prints initdata that allows exactly the containers of a Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, "
                 "Job or CronJob: images by digest, argv and environment as written. Says on standard error what is allowed.",
        .rows = rows, .n_rows = sizeof rows / sizeof rows[0] };
    enum options_outcome      outcome;
    char                    **operands;
    size_t                    n;
    struct err                err;

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-f") == 0)
            argv[i] = file_option;
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err))
        return policy_fail("gen", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    return generate(&r, &err) ? 0 : policy_fail("gen", &err);
}
