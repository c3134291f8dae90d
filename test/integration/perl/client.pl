# A client on Gearman::Client that does one thing and tells each event on a line of its own:
#
#   client.pl PORT run PRIORITY FUNCTION WORKLOAD [UNIQUE]         a task set with every callback
#   client.pl PORT do PRIORITY FUNCTION WORKLOAD [UNIQUE]          do_task
#   client.pl PORT background PRIORITY FUNCTION WORKLOAD [UNIQUE]
#   client.pl PORT many COUNT FUNCTION WORKLOAD                    that many tasks in one set
#   client.pl PORT joined COUNT FUNCTION WORKLOAD UNIQUE           that many tasks of one unique in one set
#   client.pl PORT retry COUNT FUNCTION WORKLOAD                   with retry_count
#   client.pl PORT timeout SECONDS FUNCTION WORKLOAD
#   client.pl PORT status HANDLE
#   client.pl PORT servers                                         get_job_server_status
use strict;
use warnings;
use Gearman::Client;

$| = 1;
my ($port, $verb, @words) = @ARGV;
my $client = Gearman::Client->new(job_servers => ["127.0.0.1:$port"], exceptions => 1);

sub say_line { print join(" ", @_), "\n" }

my %callbacks = (
    on_data      => sub { say_line("data",    ${ $_[0] }) },
    on_warning   => sub { say_line("warning", ${ $_[0] }) },
    on_status    => sub { say_line("status",  @_) },
    on_complete  => sub { say_line("complete", ${ $_[0] }) },
    on_exception => sub { say_line("exception", thawed($_[0])) },
    on_fail      => sub { say_line("fail", grep { defined && !ref && $_ ne "" && $_ !~ /^H:/ } @_[1 .. $#_]) },
    on_retry     => sub { say_line("retry", @_) },
);

# Perl's worker freezes what it throws; other workers send it as it is.
sub thawed {
    my ($bytes) = @_;
    my $value = eval { Storable::thaw($bytes) };
    return ref $value ? $$value : $bytes;
}

sub options {
    my ($priority, $unique) = @_;
    return (priority => $priority, defined $unique ? (uniq => $unique) : ());
}

my %verbs = (
    run => sub {
        my ($priority, $function, $workload, $unique) = @_;
        my $set = $client->new_task_set;
        $set->add_task($function, $workload, { %callbacks, options($priority, $unique) });
        $set->wait(timeout => 60);
    },
    do => sub {
        my ($priority, $function, $workload, $unique) = @_;
        my $result = $client->do_task($function, $workload, { options($priority, $unique) });
        say_line(defined $result ? ("complete", $$result) : "fail");
    },
    background => sub {
        my ($priority, $function, $workload, $unique) = @_;
        my $handle = $client->dispatch_background($function, $workload, { options($priority, $unique) });
        say_line("handle", $handle // "none");
    },
    many => sub {
        my ($count, $function, $workload) = @_;
        my $set = $client->new_task_set;
        my ($completed, $wrong) = (0, 0);
        for my $number (1 .. $count) {
            $set->add_task($function, "$workload$number", {
                on_complete => sub {
                    $completed += 1;
                    $wrong += 1 if ${ $_[0] } ne reverse "$workload$number";
                },
            });
        }
        $set->wait(timeout => 60);
        say_line("completed", $completed, "wrong", $wrong);
    },
    joined => sub {
        my ($count, $function, $workload, $unique) = @_;
        my $set = $client->new_task_set;
        $set->add_task($function, $workload, { %callbacks, options("normal", $unique) }) for 1 .. $count;
        say_line("submitted");
        $set->wait(timeout => 60);
    },
    retry => sub {
        my ($count, $function, $workload) = @_;
        my $set = $client->new_task_set;
        $set->add_task($function, $workload, { %callbacks, retry_count => $count });
        $set->wait(timeout => 60);
    },
    timeout => sub {
        my ($seconds, $function, $workload) = @_;
        my $set = $client->new_task_set;
        $set->add_task($function, $workload, { on_complete => $callbacks{on_complete}, on_fail => $callbacks{on_fail} });
        $set->wait(timeout => $seconds);
        say_line("waited");
    },
    status => sub {
        my $status = $client->get_status($_[0]);
        return say_line("none") unless $status;
        my $progress = $status->progress || [0, 0];
        say_line("status", $status->known ? 1 : 0, $status->running ? 1 : 0, @$progress);
    },
    servers => sub {
        my $all = $client->get_job_server_status;
        for my $server (sort keys %$all) {
            for my $function (sort keys %{ $all->{$server} }) {
                my $counts = $all->{$server}{$function};
                say_line($function, @$counts{qw(queued running capable)});
            }
        }
    },
);

my $act = $verbs{$verb} or die "client.pl: no verb $verb\n";
$act->(@words);
