# Runs programs, and waits for every process that they leave behind: as a child subreaper it is the parent of each
# orphan below it, so their CPU time is counted, and nothing of one run is left when the next begins. Node cannot be
# one, and a helper in C would have to be compiled; Perl is on every Linux with git.
#
# The numbers of two system calls come as arguments. A request is a line of fields between tabs: whether to wait for
# orphans, how many times to run, how many variables, those variables, the words. The answer is a line too: wall
# microseconds until the last program ended, CPU microseconds of all that ended, whether an orphan was alive before, how
# many programs failed.
use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($prctl, $getrusage) = @ARGV;
my ($set_child_subreaper, $children, $no_hang) = (36, -1, 1);

# A program inherits no descriptor of whoever started the bench: starting a worker costs more with each (ADR 0024).
POSIX::close($_) for 3 .. 1023;

syscall($prctl, $set_child_subreaper, 1, 0, 0, 0) == 0 or die "no child subreaper: $!\n";

sub cpu {
  my $buffer = "\0" x 256;
  syscall($getrusage, $children, $buffer) == 0 or die "no resource usage: $!\n";
  my ($user, $user_micros, $system, $system_micros) = unpack("q4", $buffer);
  return ($user + $system) * 1_000_000 + $user_micros + $system_micros;
}

$| = 1;
print "ready\n";
while (my $line = <STDIN>) {
  chomp $line;
  my ($waits, $times, $variables, @rest) = split /\t/, $line, -1;
  my @env = splice(@rest, 0, $variables);
  my $ended;
  do { $ended = waitpid(-1, $no_hang) } while $ended > 0;
  my $alive = $ended == 0 ? 1 : 0;
  my $failed = 0;
  my $cpu = cpu();
  my $start = clock_gettime(CLOCK_MONOTONIC);
  for (1 .. $times) {
    my $pid = fork();
    die "no fork: $!\n" unless defined $pid;
    if ($pid == 0) {
      %ENV = map { split(/=/, $_, 2) } @env;
      open(STDIN, "<", "/dev/null");
      open(STDOUT, ">", "/dev/null");
      exec { $rest[0] } @rest or kill("KILL", $$);
    }
    while (waitpid(-1, 0) != $pid) { }
    $failed++ if $? != 0;
  }
  my $wall = clock_gettime(CLOCK_MONOTONIC) - $start;
  if ($waits) {
    while (waitpid(-1, 0) != -1) { }
  }
  print join("\t", int($wall * 1_000_000), cpu() - $cpu, $alive, $failed), "\n";
}
