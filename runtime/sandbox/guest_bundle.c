#include "runtime/sandbox/guest_bundle.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

/* Beside the program in a build folder; under share/ when it is installed. */
static const char *const places[] = { "/runtime/guest", "/../share/cloister/guest" };

static FALLIBLE find_directory(const char *asked, char **out, struct err *err)
{
    const char *named = asked ? asked : getenv("CLOISTER_GUEST");
    char        self[PATH_MAX];
    ssize_t     n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (named) {
        *out = strdup(named);
        return *out || fail_with(err, ERR_LIMIT, "out of memory");
    }
    self[n < 0 ? 0 : n] = 0;
    if (strrchr(self, '/'))
        *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        AUTO(text) char *directory = NULL, *initrd = NULL;

        if (asprintf(&directory, "%s%s", self, places[i]) < 0 || asprintf(&initrd, "%s/initrd", directory) < 0)
            abort();
        if (access(initrd, R_OK) == 0) {
            *out = TAKE(directory);
            return true;
        }
    }
    return fail_with(err, ERR_NOT_FOUND, "no guest image found; build it (./demo does), or name one with --guest DIR");
}

/* The file that was asked for as `option`, or the bundle's. */
static FALLIBLE choose(char **out, const char *option, const char *asked, const char *directory, const char *name, struct err *err)
{
    if ((asked ? asprintf(out, "%s", asked) : asprintf(out, "%s/%s", directory, name)) < 0)
        abort();
    if (access(*out, R_OK) == 0)
        return true;
    if (asked)
        return err_os(err, "%s %s", option, asked);
    return fail_with(err, ERR_NOT_FOUND, "guest image %.100s: %s: %s; build it (./demo does), or name another with --guest DIR", directory, name,
                     strerror(errno));
}

/* The builds that can be launched as they are: with a table for the hashes of -kernel (SNP), with TDVF metadata (TDX). */
static const struct ovmf_row { enum tee tee; const char *path; } ovmfs[] = {
    { TEE_SNP, "/usr/share/ovmf/OVMF.amdsev.fd" },
    { TEE_SNP, "/usr/share/edk2/ovmf/OVMF.amdsev.fd" },
    { TEE_TDX, "/usr/share/ovmf/OVMF.inteltdx.fd" },
    { TEE_TDX, "/usr/share/ovmf/OVMF.inteltdx.ms.fd" },
    { TEE_TDX, "/usr/share/edk2/ovmf/OVMF.inteltdx.fd" },
    { TEE_TPM, "/usr/share/ovmf/OVMF.fd" },
    { TEE_TPM, "/usr/share/edk2/ovmf/OVMF.stateless.fd" },
};

static bool find_ovmf(const struct guest_bundle_options *o, char **out)
{
    for (size_t i = 0; i < sizeof ovmfs / sizeof *ovmfs; i++) {
        AUTO(text) char *path = NULL;

        if (asprintf(&path, "%s%s", o->root ? o->root : "", ovmfs[i].path) < 0)
            abort();
        if (ovmfs[i].tee == o->tee && access(path, R_OK) == 0) {
            *out = TAKE(path);
            return true;
        }
    }
    return false;
}

static FALLIBLE choose_firmware(const struct guest_bundle_options *o, const char *directory, char **out, struct err *err)
{
    bool is_confidential = o->tee == TEE_SNP || o->tee == TEE_TDX;
    bool wants_ovmf      = o->firmware ? strcmp(o->firmware, "ovmf") == 0 : is_confidential;

    if (o->firmware && !wants_ovmf && strcmp(o->firmware, "stage0") != 0)
        return choose(out, "firmware", o->firmware, NULL, NULL, err);
    if (wants_ovmf && find_ovmf(o, out))
        return true;
    if (wants_ovmf && o->firmware)
        return fail_with(err, ERR_NOT_FOUND, "--firmware ovmf: none for --tee %s is installed (Debian: %s); name a file, or use stage0",
                         tee_name(o->tee), o->tee == TEE_SNP ? "ovmf-amdsev" : o->tee == TEE_TDX ? "ovmf-inteltdx" : "ovmf");
    if (wants_ovmf)
        fprintf(stderr, "cloister: warning: no OVMF for --tee %s is installed; booting with stage0, which has not run on such "
                        "hardware yet\n", tee_name(o->tee));
    return choose(out, NULL, NULL, directory, "firmware", err);
}

static FALLIBLE read_command_line(const struct guest_bundle_options *options, const char *directory, char **out,
                                  struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };
    AUTO(text) char           *path = NULL;
    size_t                     len;

    if (!choose(&path, NULL, NULL, directory, "cmdline", err) || !file_read(path, VM_APPEND_MAX, &text, err))
        return false;
    len = strcspn(buffer_text(&text), "\n");
    if (asprintf(out, "cloister.tee=%s %.*s", tee_name(options->tee), (int) len, buffer_text(&text)) < 0)
        abort();
    return true;
}

FALLIBLE guest_bundle_find(const struct guest_bundle_options *options, struct guest_bundle *out, struct err *err)
{
    AUTO(guest_bundle) struct guest_bundle found     = { 0 };
    AUTO(text) char                       *directory = NULL;

    if (!find_directory(options->directory, &directory, err))
        return false;
    if (!choose_firmware(options, directory, &found.firmware, err))
        return false;
    if (!choose(&found.kernel, "kernel", options->kernel, directory, "kernel", err) ||
        !choose(&found.initrd, "initrd", options->initrd, directory, options->is_debug ? "initrd-debug" : "initrd", err) ||
        (!options->append && !read_command_line(options, directory, &found.append, err)))
        return false;
    if (options->append && asprintf(&found.append, "%s", options->append) < 0)
        abort();
    *out = TAKE(found);
    return true;
}

void guest_bundle_free(struct guest_bundle *bundle)
{
    free(bundle->firmware);
    free(bundle->kernel);
    free(bundle->initrd);
    free(bundle->append);
    *bundle = (struct guest_bundle){ 0 };
}
