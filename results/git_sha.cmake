# Writes ISTHMUS_GIT_SHA to `header`: the commit of `source`, with "-dirty" when tracked files differ
# from it, or "unknown" outside git. Runs at each build; touches the header only when it changes.
execute_process(
  COMMAND git -c safe.directory=${source} -C ${source} describe --always --dirty --abbrev=40 --exclude *
  OUTPUT_VARIABLE sha ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  set(sha unknown)
endif()
set(text "#define ISTHMUS_GIT_SHA \"${sha}\"\n")
set(old "")
if(EXISTS ${header})
  file(READ ${header} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${header} "${text}")
endif()
