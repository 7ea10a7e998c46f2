/* The commands of `cloister`, one row each: name, what --help says of it. */
#pragma once

#define COMMANDS(X) \
    X(run,      "run an image in an attested microVM") \
    X(job,      "run a batch job that leaves a receipt, and check one offline") \
    X(debug,    "run an image in a guest with a shell, which no broker trusts unless told to") \
    X(image,    "encrypt an image for a key that the broker holds, and back; make it mountable") \
    X(key,      "keep secrets at a broker, and seal them into variables and files") \
    X(reference, "tell a broker which guests may have secrets") \
    X(audit,    "read a broker's log of every decision, and check that it only grew") \
    X(doctor,   "say what this host can run, what is missing, and how to mend it") \
    X(install,  "let containerd and CRI-O on this node start confidential pods") \
    X(uninstall, "take that back") \
    X(initdata, "print the document that binds a guest to one workload, or its digest") \
    X(measure,  "print what the hardware will report about a guest: launch digest, MRTD, RTMRs") \
    X(policy,   "evaluate, check and test Rego policies; make a pod's; give a broker its own") \
    X(verify,   "verify evidence of a TEE or a TPM, and say why")

#define COMMAND_DECLARE(name, about) int cmd_##name(int argc, char **argv);
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE
