/* `cloister measure tpm` */
#include <stdio.h>

#include "attestation/evidence/tpm_public.h"
#include "base/file.h"
#include "base/options.h"
#include "base/text.h"
#include "firmware/measure/tpm_boot.h"
#include "keys/api/development_root.h"
#include "runtime/cli/measure_inputs.h"
#include "runtime/vmm/software_tpm.h"

/* The attestation key of this user's software TPM, as brokers register it. */
static FALLIBLE read_key(const char *folder, struct buffer *text, struct err *err)
{
    AUTO(buffer) struct buffer area = { 0 }, der = { 0 };
    AUTO(text) char           *path = NULL;

    if (asprintf(&path, "%s/" TPM_AK_FILE, folder) < 0)
        abort();
    if (!software_tpm_make(folder, err) || !file_read(path, TPM_AK_LEN_MAX, &area, err) ||
        !tpm_key_info_write(buffer_bytes(&area), &der, err))
        return false;
    base64_append(text, buffer_bytes(&der), BASE64_STANDARD);
    return true;
}

static FALLIBLE print(const struct tpm_boot *boot, const char *key)
{
    AUTO(json) struct json_object *object = json_object_new_object();

    for (size_t i = 0; i < TPM_BOOT_N_PCRS; i++) {
        char name[16];

        (void) snprintf(name, sizeof name, "tpm_pcr%02u", boot->at[i].pcr); /* fits */
        json_add_hex(object, name, BYTES_OF(boot->at[i].value));
    }
    if (key)
        json_add_text(object, "trusted_aks", key);
    measure_print_json(object);
    return true;
}

static FALLIBLE run(struct measure_inputs *in, bool wants_key, struct err *err)
{
    AUTO(buffer) struct buffer key    = { 0 };
    AUTO(text) char           *folder = NULL;
    struct tpm_boot            boot;

    if (!in->firmware_path || !in->kernel_path || !in->initrd_path || !in->append)
        return fail_with(err, ERR_CONFIG, "--firmware, --kernel, --initrd and --append are wanted");
    if (!measure_inputs_load(in, err) ||
        !tpm_boot_measure(buffer_bytes(&in->firmware), buffer_bytes(&in->kernel), buffer_bytes(&in->initrd), in->append, &boot, err))
        return false;
    development_tpm_folder(&folder);
    return (!wants_key || read_key(folder, &key, err)) && print(&boot, wants_key ? buffer_text(&key) : NULL);
}

int measure_tpm(int argc, char **argv)
{
    AUTO(measure_inputs) struct measure_inputs in        = { 0 };
    bool                                       wants_key = false;
    const struct option_row                    rows[]    = {
        { "firmware", OPTION_TEXT, &in.firmware_path, "FILE", "stage0", 0, 0 },
        { "kernel", OPTION_TEXT, &in.kernel_path, "FILE", "the kernel", 0, 0 },
        { "initrd", OPTION_TEXT, &in.initrd_path, "FILE", "the initrd", 0, 0 },
        { "append", OPTION_TEXT, &in.append, "TEXT", "the whole kernel command line", 0, 0 },
        { "key", OPTION_FLAG, &wants_key, NULL, "the attestation key of this user's software TPM too; makes one when there is none", 0, 0 },
    };
    const struct option_table table = {
        "cloister measure tpm", "[OPTION]...",
        "Prints the PCRs of a boot by stage0 beside a TPM, under the names that a broker's attestation policy asks for.",
        rows, sizeof rows / sizeof *rows, false, NULL
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) ||
        (outcome == OPTIONS_RUN && n > 0 && !fail_with(&err, ERR_CONFIG, "no operands are wanted; see cloister measure tpm --help")))
        return measure_failed("measure tpm", &err);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    return run(&in, wants_key, &err) ? 0 : measure_failed("measure tpm", &err);
}
