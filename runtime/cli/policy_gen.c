/* `cloister policy gen`: initdata that allows exactly what a Kubernetes manifest asks for. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/api/initdata.h"
#include "runtime/cli/stock_rules.h"
#include "runtime/cli/pod_yaml.h"
#include "runtime/cli/policy.h"
#include "runtime/oci/layout.h"
#include "runtime/oci/remote_digest.h"

enum { CA_LEN_MAX = 64 << 10 };

struct gen_request {
    const char        *file;
    const char        *broker_url;
    const char        *broker_ca;
    struct option_list images;
    bool               json, resolve;
};

/* ---- images ---- */

static FALLIBLE layout_digest(const char *reference, char out[static 72], struct err *err)
{
    struct layout_reference layout;

    return layout_reference_read(reference, &layout, err) && layout_find_manifest(&layout, out, err);
}

/* "--image NAME=WHERE" or the manifest's own "oci:DIR[:TAG]"; a digest stands for itself. */
static bool image_digest(void *owner, const char *image, char out[static 72], struct err *err)
{
    const struct gen_request *r     = owner;
    const char               *where = strncmp(image, "oci:", 4) == 0 ? image : NULL;
    size_t                    len   = strlen(image);

    for (size_t i = 0; i < r->images.n; i++)
        if (strncmp(r->images.at[i], image, len) == 0 && r->images.at[i][len] == '=')
            where = r->images.at[i] + len + 1;
    if (!where && r->resolve)
        return remote_digest_find(image, out, err);
    if (!where)
        return fail_with(err, ERR_UNSUPPORTED, "image %.120s has no digest: write it as NAME@sha256:..., or give "
                         "--image %.60s=sha256:... or =oci:DIR[:TAG], or --resolve", image, image);
    if (strncmp(where, "oci:", 4) == 0)
        return layout_digest(where, out, err) || contextf(err, "image %.80s", image);
    if (strncmp(where, "sha256:", 7) != 0 || strlen(where) != 71 || strspn(where + 7, "0123456789abcdef") != 64)
        return fail_with(err, ERR_MALFORMED, "image %.120s: %.80s is no sha256 digest", image, where);
    memcpy(out, where, 72);
    return true;
}

/* ---- the summary for a person ---- */

static const char *plain(struct json_object *value)
{
    return json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void summarise_container(const char *name, struct json_object *c)
{
    struct json_object *command = json_object_object_get(c, "command"), *args = json_object_object_get(c, "args");
    struct json_object *exec    = json_object_object_get(c, "exec"), *user = json_object_object_get(c, "user");
    struct json_object *empty   = json_object_object_get(c, "empty_directories");

    fprintf(stderr, "allowed: container %s from %s\n", name, json_object_get_string(json_object_object_get(c, "image")));
    fprintf(stderr, "           command %s", command ? plain(command) : "the image's own");
    fprintf(stderr, ", arguments %s\n", args ? plain(args) : command ? "none" : "the image's own");
    fprintf(stderr, "           environment %s", plain(json_object_object_get(c, "env")));
    fprintf(stderr, ", and of the host's choice %s\n", plain(json_object_object_get(c, "env_names")));
    fprintf(stderr, "           user %s; output may be read%s%s\n", user ? json_object_get_string(user) : "the image's own",
            json_object_object_get(c, "input") ? ", input written" : "", json_object_object_get(c, "terminal") ? ", at a terminal" : "");
    fprintf(stderr, "           files of the host's choice %s", plain(json_object_object_get(c, "files")));
    fprintf(stderr, "%s%s\n", empty ? "; empty directories " : "", empty ? plain(empty) : "");
    fprintf(stderr, "           to be run in it later: %s\n", exec ? plain(exec) : "nothing");
}

static void summarise(const struct pod_yaml *pod)
{
    struct json_object *containers = json_object_object_get(pod->policy, "containers");

    for (size_t i = 0; i < json_object_array_length(containers); i++)
        summarise_container(json_object_get_string(json_object_array_get_idx(pod->names, i)),
                            json_object_array_get_idx(containers, i));
    for (size_t i = 0; i < json_object_array_length(pod->notes); i++)
        fprintf(stderr, "note: %s\n", json_object_get_string(json_object_array_get_idx(pod->notes, i)));
    fputs("denied: everything else\n", stderr);
}

static FALLIBLE write_document(const struct gen_request *r, const struct pod_yaml *pod, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer ca = { 0 }, broker = { 0 }, policy = { 0 };
    struct initdata_entry      entries[3];
    size_t                     n = 0;

    if (r->broker_url) {
        if (!r->broker_ca || !file_read(r->broker_ca, CA_LEN_MAX, &ca, err))
            return r->broker_ca ? context(err, "--broker-ca")
                                : fail_with(err, ERR_CONFIG, "--broker needs --broker-ca FILE: the certificate that the guest trusts");
        if (!is_utf8(buffer_bytes(&ca)) || !strstr(buffer_text(&ca), "-----BEGIN CERTIFICATE-----"))
            return fail_with(err, ERR_CONFIG, "--broker-ca %.120s: a PEM certificate is wanted", r->broker_ca);
        initdata_write_broker(r->broker_url, buffer_text(&ca), &broker);
        entries[n++] = (struct initdata_entry){ "aa.toml", buffer_text(&broker) };
    }
    buffer_append_text(&policy, json_object_to_json_string_ext(pod->policy, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    buffer_append_text(&policy, "\n");
    entries[n++] = (struct initdata_entry){ "policy.json", buffer_text(&policy) };
    entries[n++] = (struct initdata_entry){ "policy.rego", STOCK_POD };
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
    AUTO(pod_yaml) struct pod_yaml pod      = { NULL, NULL, NULL };
    struct pod_images              images   = { image_digest, (void *) (uintptr_t) r }; /* which only reads it */

    if (!r->file)
        return fail_with(err, ERR_CONFIG, "-f POD.yaml is wanted (see --help)");
    for (size_t i = 0; i < r->images.n; i++) {
        if (!strchr(r->images.at[i], '='))
            return fail_with(err, ERR_CONFIG, "--image %.80s: NAME=sha256:... or NAME=oci:DIR[:TAG] is wanted", r->images.at[i]);
    }
    bool ok = strcmp(r->file, "-") == 0 ? file_read_fd(STDIN_FILENO, POD_YAML_LEN_MAX, &manifest, err)
                                        : file_read(r->file, POD_YAML_LEN_MAX, &manifest, err);
    if (!ok)
        return false; /* the file is named */
    if (!pod_yaml_read(buffer_bytes(&manifest), &images, &pod, err))
        return contextf(err, "%.80s", r->file);
    summarise(&pod);
    return write_document(r, &pod, &text, err) && print_document(r, &text, err);
}

int policy_gen(int argc, char **argv)
{
    char                      file_option[] = "--file"; /* -f, as kubectl has it */
    struct gen_request        r             = { .file = NULL };
    const struct option_row   rows[]        = {
        { .name = "file", .kind = OPTION_TEXT, .into = &r.file, .value = "FILE", .help = "the manifest, also -f; - reads standard input" },
        { .name = "image", .kind = OPTION_LIST, .into = &r.images, .value = "NAME=WHERE", .help = "where the digest of an image is known from: sha256:... or oci:DIR[:TAG]" },
        { .name = "resolve", .kind = OPTION_FLAG, .into = &r.resolve, .help = "ask registries for the digests of images named by tag, by skopeo" },
        { .name = "broker", .kind = OPTION_TEXT, .into = &r.broker_url, .value = "URL", .help = "the broker to attest to" },
        { .name = "broker-ca", .kind = OPTION_TEXT, .into = &r.broker_ca, .value = "FILE", .help = "the broker's certificate, PEM" },
        { .name = "json", .kind = OPTION_FLAG, .into = &r.json, .help = "print {\"initdata\", \"digest\"}" },
    };
    const struct option_table table = { .command = "cloister policy gen", .synopsis = "[OPTION]... -f POD.yaml",
        .about = "Prints initdata that allows exactly the containers of a Pod, Deployment, ReplicaSet, StatefulSet, DaemonSet, "
                 "Job or CronJob: images by digest, argv and environment as written, probes and hooks and nothing else run in them. "
                 "Says on standard error what is allowed.",
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
