# Become a container without Docker: pod.sh ROOT VENV COMMAND…, in a mount namespace of its own.
# The root is read-only but for its volumes, and the command is an ordinary user without capabilities, as in the image.
# Each line of MOUNTS is "from to": a directory or file of this machine, read-only; or "- to": an empty volume.
set -eu
root=$1 venv=$2
shift 2
mount -t tmpfs -o mode=755 root "$root"
for link in bin lib lib64 sbin; do ln -s "usr/$link" "$root/$link"; done
printf '%s\n' "$MOUNTS" | while read -r from to; do
  case $from in
    -) mkdir -p "$root$to"; mount -t tmpfs -o mode=1777 volume "$root$to"; continue ;;
  esac
  if [ -d "$from" ]; then mkdir -p "$root$to"; else mkdir -p "$root${to%/*}"; : > "$root$to"; fi
  mount --bind "$from" "$root$to"
  mount -o remount,bind,ro "$root$to"
done
mkdir -p "$root/app"
ln -s "$venv" "$root/app/venv"
ln -s /app/venv/bin/updater "$root/manager"
mount -o remount,ro "$root"
exec chroot "$root" /usr/bin/setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs --bounding-set=-all "$@"
