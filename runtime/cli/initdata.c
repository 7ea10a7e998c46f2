/* cloister initdata: the initdata that `cloister run` would write, to be read, registered with a broker, or given back. */
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/pod.h"

struct initdata_command {
    const char *broker, *ca, *output;
    bool        digest_only;
    struct pod  pod;
};

static FALLIBLE print(const struct initdata_command *command, struct err *err)
{
    AUTO(buffer) struct buffer     text = { 0 }, digest = { 0 };
    AUTO(initdata) struct initdata read = { 0 };

    if (!pod_write_initdata(&command->pod, command->broker, command->ca, &text, err) ||
        !initdata_read(buffer_bytes(&text), &read, err))
        return false;
    hex_append(&digest, (struct bytes){ read.digest, read.digest_len });
    if (command->output && !file_write(command->output, buffer_bytes(&text), 0644, err))
        return false;
    if (command->digest_only)
        printf("%s\n", buffer_text(&digest));
    else if (!command->output)
        fputs(buffer_text(&text), stdout);
    return true;
}

int cmd_initdata(int argc, char **argv)
{
    struct initdata_command  command = { .broker = "https://127.0.0.1:8443" };
    AUTO(job_yaml) struct job_yaml job = { 0 };
    const struct option_row  rows[]  = {
        { "env", OPTION_LIST, &command.pod.env, "NAME=VALUE", "add to the image's environment", 0, 0 },
        { "volume", OPTION_LIST, &command.pod.volume_options, "NAME=FILE:PATH[:ro|:new]", "persistent encrypted volume in FILE, at PATH of the container; new: a blank FILE may be formatted", 0, 0 },
        { "volume-key", OPTION_LIST, &command.pod.volume_keys, "NAME=URI", "the key of that volume at the broker (default kbs:///default/volume/NAME)", 0, 0 },
        { "image-config", OPTION_TEXT, &command.pod.image_config, "FILE", "cdh.toml for the guest: registries, their CA, credentials, image policy", 0, 0 },
        { "resolv-conf", OPTION_TEXT, &command.pod.resolv_conf, "FILE", "resolv.conf for the guest; without one it resolves no names", 0, 0 },
        { "network", OPTION_FLAG, &command.pod.network, NULL, "allow a network: for runs with --netns", 0, 0 },
        { "broker", OPTION_TEXT, &command.broker, "URL", "key broker (default https://127.0.0.1:8443)", 0, 0 },
        { "broker-ca", OPTION_TEXT, &command.ca, "FILE", "the certificate, PEM, that the guest trusts", 0, 0 },
        { "output", OPTION_TEXT, &command.output, "FILE", "write the document to FILE", 0, 0 },
        { "digest", OPTION_FLAG, &command.digest_only, NULL, "print its digest, in hex, instead", 0, 0 },
    };
    const struct option_table table = {
        "cloister initdata", "[OPTION]... IMAGE [ARG...] | -f JOB.yaml [OPTION]...",
        "Prints the initdata that `cloister run` writes for this image, argv and environment. Its digest stands in HOST_DATA;\n"
        "a broker that is told to expect it releases keys to exactly this workload.",
        rows, sizeof rows / sizeof *rows, true, NULL
    };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;

    if (!job_yaml_of_arguments(&argc, &argv, &job, &err)) {
        fprintf(stderr, "cloister: initdata: %s\n", err.text);
        return 2;
    }
    pod_of_job(&job, &command.pod);
    command.broker = job.broker ? job.broker : command.broker;
    command.ca     = job.broker_ca;
    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err)) {
        fprintf(stderr, "cloister: initdata: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if ((n == 0) == (job.image == NULL)) {
        fprintf(stderr, "cloister: initdata: an image is wanted, or a job that names one; see cloister initdata --help\n");
        return 2;
    }
    if (n > 0) {
        command.pod.args   = operands + 1;
        command.pod.n_args = n - 1;
    }
    if (!pod_resolve(n > 0 ? operands[0] : job.image, &command.pod, &err) || !print(&command, &err)) {
        fprintf(stderr, "cloister: initdata: %s\n", err.text);
        return 1;
    }
    return 0;
}
