# Completion for cloister: commands and options come from --help, so that they are never out of date.
_cloister() {
  local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} verb=
  case $command in
    image|job|measure|policy|verify) [ "$COMP_CWORD" -gt 2 ] && verb=${COMP_WORDS[2]} ;; # each verb has options of its own
  esac
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "$(cloister --help | sed -n 's/^  \([a-z]\+\)  .*/\1/p')" -- "$word"))
  elif [[ $word == --* ]]; then
    COMPREPLY=($(compgen -W "$(cloister "$command" ${verb:+"$verb"} --help 2>/dev/null | grep -o -- '^  --[a-z-]\+')" -- "$word"))
  else
    compopt -o default
    COMPREPLY=()
  fi
}
complete -F _cloister cloister
