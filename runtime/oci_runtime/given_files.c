#include "runtime/oci_runtime/given_files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define WARNING "cloister-runtime: warning: "

static bool is_given(const struct spec_mount *mount)
{
    static const char *const paths[] = { "/etc/hosts", "/etc/hostname", "/etc/resolv.conf" };

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(mount->target, paths[i]) == 0)
            return true;
    return false;
}

FALLIBLE given_files_read(const struct container_spec *spec, struct host_volumes *out, struct err *err)
{
    struct container_spec given   = *spec; /* its mounts are another list, the rest is not looked at */
    bool                  is_good;

    given.n_mounts = 0;
    given.mounts   = calloc(spec->n_mounts + 1, sizeof *given.mounts);
    if (!given.mounts)
        abort();
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (is_given(&spec->mounts[i]))
            given.mounts[given.n_mounts++] = spec->mounts[i];
    is_good      = host_volumes_read(&given, out, err);
    out->n_alone = out->n_files;
    free(given.mounts);
    return is_good;
}

/* What podman makes for a VOLUME of an image, of which the VM has the image's own directory: a name of 64 hex digits. */
static bool is_of_the_image(const char *source)
{
    const char *name = strstr(source, "/volumes/");

    return name && strspn(name + 9, "0123456789abcdef") == 64 && strcmp(name + 9 + 64, "/_data") == 0;
}

static FALLIBLE check_mount(const struct spec_mount *mount, struct err *err)
{
    struct stat st;

    if (is_of_the_image(mount->source) || stat(mount->source, &st) < 0 || !S_ISDIR(st.st_mode))
        return true;
    return fail_with(err, ERR_UNSUPPORTED, "volume at %.80s: no folder of this host reaches into a VM; leave it out, or use an encrypted volume: "
                     "cloister run --volume, or a pod (docs/storage.md)", mount->target);
}

FALLIBLE given_files_check(const struct container_spec *spec, bool is_confidential, struct err *err)
{
    struct json_object *root = json_object_object_get(spec->document, "root");

    for (size_t i = 0; i < spec->n_mounts; i++) {
        if (is_given(&spec->mounts[i]))
            continue;
        if (!check_mount(&spec->mounts[i], err))
            return false;
        fprintf(stderr, WARNING "%s is not mounted: no file system of this host reaches into a VM\n", spec->mounts[i].target);
    }
    if (!is_confidential && json_object_get_boolean(json_object_object_get(root, "readonly")))
        fputs(WARNING "the root file system can be written: only a policy makes it read-only (read_only_root)\n", stderr);
    return true;
}
