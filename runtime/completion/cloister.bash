# Completion for cloister: commands, verbs and options come from --help, so that they are never out of date.
_cloister_verbs() { # as `cloister COMMAND --help` has them: behind the command, behind a bar, or in a list
  cloister "$1" --help 2>/dev/null | sed '/^Options:/,$d' | grep -oE "cloister $1 [a-z]+|\\| ?[a-z]+|^  [a-z]+  " | grep -oE '[a-z]+ *$'
}
_cloister() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} verb=
  case $command in
    image|job|measure|policy|verify) [ "$COMP_CWORD" -gt 2 ] && verb=${COMP_WORDS[2]} ;; # each verb has options of its own
  esac
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "$(cloister --help | sed -n 's/^  \([a-z]\+\)  .*/\1/p')" -- "$word"))
  elif [[ $word == --* ]]; then
    COMPREPLY=($(compgen -W "$(cloister "$command" ${verb:+"$verb"} --help 2>/dev/null | grep -o -- '^  --[a-z-]\+')" -- "$word"))
  elif [ "$COMP_CWORD" = 2 ] && COMPREPLY=($(compgen -W "$(_cloister_verbs "$command")" -- "$word")) && [ ${#COMPREPLY[@]} -gt 0 ]; then
    return
  else
    compopt -o default
    COMPREPLY=()
  fi
}
complete -F _cloister cloister
