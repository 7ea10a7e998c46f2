/*
 * What a RuntimeClass's handler is configured to do: a few keys of TOML, from the file or the table that the engine
 * passes on, and nothing from a pod. [runtimeoptions.v1.Options]
 *
 *   development = true          pods without initdata may start, with `initdata` below; default false
 *   initdata = "/path"          TOML text for such pods
 *   tee = "auto"                snp, tdx, tpm, sim
 *   accel = "auto"              kvm, tcg
 *   channel = "auto"            vsock, serial
 *   guest = "/path"             the guest image's folder; default: beside the program or under share/
 *   cpus = 1                    at least
 *   memory = 512                MiB for the guest itself and its images; a pod's limit is added
 *   memory_most = 65536         MiB of one VM
 *   boot_timeout = 180          seconds until the guest must have attested
 *   kill_timeout = 30           seconds that a guest has to end a process after SIGKILL; then its VM ends
 *   blobs = "/path"             where image blobs are, blobs/sha256/… below it, before containerd's content store
 *   cache = "/path"             the node's cache of ciphertext: read after those, and what a guest pulled by itself is
 *                               kept in it for the next
 *   cache_max = 20480           MiB of it, all pods together
 */
#pragma once

#include "base/json.h"
#include "runtime/shim/engine.pb-c.h"
#include "runtime/vmm/vm.h"

struct settings {
    struct json_object *document; /* owns the texts; NULL: all defaults */
    bool                development;
    const char         *initdata, *guest, *blobs, *cache; /* NULL: none */
    const char         *tee, *accel, *channel;
    uint64_t            cpus, memory_mib, memory_most_mib, boot_timeout_s, kill_timeout_s, cache_max_mib;
};

void settings_default(struct settings *out);
void settings_free(struct settings *settings);
static inline void auto_settings(struct settings *settings) { settings_free(settings); }

/*
 * Reads TOML text.
 *
 *   out    yours, AUTO(settings); written only on success
 *
 * Fails MALFORMED, LIMIT, UNSUPPORTED as toml_read; CONFIG for an unknown key or a value that is none.
 */
FALLIBLE settings_read(struct bytes text, struct settings *out, struct err *err);

/*
 * The file of a handler to which its engine passes no options, by the name under which the engine knows this program:
 * containerd-shim-cloister-NAME-v2 has NAME.toml in `directory` and without it no pod; any other name has shim.toml, if
 * that is there, else "". containerd 2.0 to 2.3 cannot pass options when `sandboxer = "shim"`.
 *
 * Fails CONFIG for a NAME that is none, LIMIT.
 */
enum { SETTINGS_PATH_MAX = 512 };
FALLIBLE settings_find_file(const char *program, const char *directory, char out[static SETTINGS_PATH_MAX], struct err *err);

/* What an engine's options mean: their table, or the file they name. Without any: `file`, or all defaults for "". Fails so, and OS. */
FALLIBLE settings_from_options(const Engine__Any *options, const char *file, struct settings *out, struct err *err);

/*
 * Reads what an engine wrote to the standard input of `start`: an Any, or since containerd 2.3 BootstrapParams, which
 * begin with the id of the shim.
 */
FALLIBLE settings_from_input(struct bytes input, const char *id, const char *file, struct settings *out, struct err *err);
