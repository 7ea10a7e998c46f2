#include "runtime/cli/pod.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cli/sealing.h"
#include "runtime/sandbox/tunnel_service.h"

/* By digest where there is one: then that is what the guest's policy pins. */
static FALLIBLE resolve_in_registry(const char *image, struct pod *pod, struct err *err)
{
    struct image_reference reference;
    struct digest_text     digest;

    if (!image_reference_read(bytes_of_text(image), &reference, err))
        return false;
    if (!reference.registry[0] && !reference.has_digest)
        return fail_with(err, ERR_CONFIG, "%.80s: oci:DIR[:TAG] or REGISTRY/REPOSITORY[:TAG|@DIGEST] is wanted", image);
    if (!reference.has_digest && !pod->image_config)
        return fail_with(err, ERR_CONFIG, "%.80s: a tag may name anything: give @sha256:..., or --image-config with an image policy", image);
    if (reference.has_digest && reference.digest.algorithm != DIGEST_SHA256)
        return fail_with(err, ERR_UNSUPPORTED, "%.80s: sha256 is wanted", image);
    reference.has_tag = reference.has_tag || !reference.has_digest;
    digest            = digest_text(&reference.digest);
    (void) snprintf(pod->manifest, sizeof pod->manifest, "%.*s", LAYOUT_DIGEST_LEN - 1,
                    reference.has_digest ? digest.at : ""); /* sha256 fits */
    pod->name       = image_reference_text(&reference);
    pod->image_name = pod->name.at;
    return true;
}

void pod_of_job(const struct job_yaml *job, struct pod *out)
{
    out->args    = (char **) (uintptr_t) job->args; /* never written: argv's type */
    out->n_args  = job->n_args;
    out->env     = job->env;
    out->volumes = job->volumes;
}

FALLIBLE pod_resolve(const char *image, struct pod *pod, struct err *err)
{
    for (size_t i = 0; i < pod->env.n; i++)
        if (!strchr(pod->env.at[i], '=') || pod->env.at[i][0] == '=')
            return fail_with(err, ERR_CONFIG, "--env %.80s: NAME=VALUE is wanted", pod->env.at[i]);
    for (size_t i = 0; i < pod->n_args + pod->env.n; i++)
        if (!is_utf8(bytes_of_text(i < pod->n_args ? pod->args[i] : pod->env.at[i - pod->n_args])))
            return fail_with(err, ERR_CONFIG, "arguments and environment must be UTF-8");
    if (!pod_volumes_read(&pod->volume_options, &pod->volume_keys, &pod->volumes, err))
        return false;
    if (strncmp(image, "oci:", 4) != 0)
        return resolve_in_registry(image, pod, err);
    pod->image_name = image;
    return layout_reference_read(image, &pod->image, err) && layout_find_manifest(&pod->image, pod->manifest, err);
}

static struct json_object *array_of(const char *const *texts, size_t n)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < n; i++)
        if (json_object_array_add(array, json_object_new_string(texts[i])) != 0)
            abort();
    return array;
}

static struct json_object *volumes_of(const struct pod_volumes *volumes)
{
    struct json_object *array = json_object_new_array();

    for (size_t i = 0; i < volumes->n; i++) {
        struct json_object *one = json_object_new_object();

        json_add_text(one, "path", volumes->at[i].path);
        json_add_text(one, "volume", volumes->at[i].name);
        json_add_text(one, "key", volumes->at[i].key);
        if (volumes->at[i].read_only)
            json_add(one, "read_only", json_object_new_boolean(true));
        if (volumes->at[i].format)
            json_add(one, "format", json_object_new_boolean(true));
        if (json_object_array_add(array, one) != 0)
            abort();
    }
    return array;
}

static void write_policy(const struct pod *pod, struct buffer *out)
{
    AUTO(json) struct json_object *policy = json_object_new_object();
    struct json_object *container = json_object_new_object(), *containers = json_object_new_array();

    json_add_text(container, "image", pod->manifest[0] ? pod->manifest : pod->image_name);
    json_add(container, "args", pod->n_args > 0 ? array_of((const char *const *) pod->args, pod->n_args) : NULL);
    json_add(container, "env", array_of(pod->env.at, pod->env.n));
    sealing_add_signers(container, json_object_object_get(container, "env"));
    json_add(container, "output", json_object_new_boolean(true));
    if (pod->volumes.n > 0)
        json_add(container, "volumes", volumes_of(&pod->volumes));
    if (json_object_array_add(containers, container) != 0)
        abort();
    json_add(policy, "containers", containers);
    if (pod->network)
        json_add(policy, "network", json_object_new_boolean(true));
    json_write(policy, out);
}

/* A file of the user's that becomes an entry as it is; without one there is no entry. */
static FALLIBLE add_file(const char *path, const char *option, size_t most, const char *name, struct buffer *text,
                         struct initdata_entry *entries, size_t *n, struct err *err)
{
    if (!path)
        return true;
    if (!file_read(path, most, text, err))
        return context(err, option);
    if (!is_utf8(buffer_bytes(text)) || strlen(buffer_text(text)) != text->len)
        return fail_with(err, ERR_CONFIG, "%s %.120s: UTF-8 text is wanted", option, path);
    entries[(*n)++] = (struct initdata_entry){ name, buffer_text(text) };
    return true;
}

FALLIBLE pod_write_initdata(const struct pod *pod, const char *broker_url, const char *broker_ca_file,
                            struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer ca = { 0 }, broker = { 0 }, policy = { 0 }, image_config = { 0 }, resolv_conf = { 0 };
    struct broker_address      address;

    if (!broker_ca_file)
        return fail_with(err, ERR_CONFIG, "--broker-ca FILE is wanted: the certificate that the guest trusts (cloister-broker --dev DIR writes DIR/ca.pem)");
    if (!broker_address_read(broker_url, &address, err))
        return false;
    if (!file_read(broker_ca_file, CA_FILE_MAX, &ca, err))
        return context(err, "--broker-ca");
    if (!is_utf8(buffer_bytes(&ca)) || !strstr(buffer_text(&ca), "-----BEGIN CERTIFICATE-----"))
        return fail_with(err, ERR_CONFIG, "--broker-ca %.120s: a PEM certificate is wanted", broker_ca_file);
    initdata_write_broker(broker_url, buffer_text(&ca), &broker);
    write_policy(pod, &policy);

    struct initdata_entry entries[4] = { { "aa.toml", buffer_text(&broker) }, { "policy.json", buffer_text(&policy) } };
    size_t                n          = 2;

    if (!add_file(pod->image_config, "--image-config", IMAGE_CONFIG_FILE_MAX, "cdh.toml", &image_config, entries, &n, err) ||
        !add_file(pod->resolv_conf, "--resolv-conf", RESOLV_CONF_FILE_MAX, "resolv.conf", &resolv_conf, entries, &n, err))
        return false;
    initdata_write(INITDATA_SHA256, entries, n, out);
    return true;
}
