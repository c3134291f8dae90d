<?php
/*
 * A client on PHP's extension that does one thing and tells each event on a line of its own:
 *
 *   client.php PORT run PRIORITY FUNCTION WORKLOAD [UNIQUE]         a task with every callback
 *   client.php PORT do PRIORITY FUNCTION WORKLOAD [UNIQUE]          doNormal, doHigh, doLow
 *   client.php PORT background PRIORITY FUNCTION WORKLOAD [UNIQUE]
 *   client.php PORT many COUNT FUNCTION WORKLOAD                    that many tasks at once
 *   client.php PORT status HANDLE
 *   client.php PORT unique UNIQUE
 *   client.php PORT ping
 */
[, $port, $verb] = $argv;
$words = array_slice($argv, 3);
$client = new GearmanClient();
$client->addServer('127.0.0.1', (int) $port);
$client->setTimeout(60000);

function tell(mixed ...$words): void
{
    echo implode(' ', $words), "\n";
}

/** The extension's methods for one kind of call, by priority. */
function method(string $priority, string $normal, string $high, string $low): string
{
    return match ($priority) { 'high' => $high, 'low' => $low, default => $normal };
}

function run(GearmanClient $client, string $priority, string $function, string $workload, ?string $unique = null): void
{
    $client->enableExceptionHandler();
    $client->setCreatedCallback(fn ($task) => tell('created', $task->jobHandle()));
    $client->setDataCallback(fn ($task) => tell('data', $task->data()));
    $client->setWarningCallback(fn ($task) => tell('warning', $task->data()));
    $client->setStatusCallback(fn ($task) => tell('status', $task->taskNumerator(), $task->taskDenominator()));
    $client->setCompleteCallback(fn ($task) => tell('complete', $task->data()));
    $client->setExceptionCallback(fn ($task) => tell('exception', $task->data()));
    $client->setFailCallback(fn ($task) => tell('fail'));
    $add = method($priority, 'addTask', 'addTaskHigh', 'addTaskLow');
    $context = null;
    $client->$add($function, $workload, $context, $unique);
    if (!$client->runTasks()) {
        tell('error', $client->error());
    }
}

function doIt(GearmanClient $client, string $priority, string $function, string $workload, ?string $unique = null): void
{
    $call = method($priority, 'doNormal', 'doHigh', 'doLow');
    do {
        $result = $client->$call($function, $workload, $unique);
        switch ($client->returnCode()) {
            case GEARMAN_WORK_DATA:
                tell('data', $result);
                break;
            case GEARMAN_WORK_STATUS:
                tell('status', ...$client->doStatus());
                break;
            case GEARMAN_WORK_FAIL:
                tell('fail');
                return;
            case GEARMAN_SUCCESS:
                tell('complete', $result);
                return;
            default:
                tell('error', $client->returnCode(), $client->error());
                return;
        }
    } while (true);
}

function background(GearmanClient $client, string $priority, string $function, string $workload, ?string $unique = null): void
{
    $call = method($priority, 'doBackground', 'doHighBackground', 'doLowBackground');
    $handle = $client->$call($function, $workload, $unique);
    tell($client->returnCode() === GEARMAN_SUCCESS ? "handle $handle" : 'error ' . $client->error());
}

function many(GearmanClient $client, string $count, string $function, string $workload): void
{
    $results = $expected = [];
    $client->setCompleteCallback(function ($task) use (&$results) {
        $results[] = $task->data();
    });
    for ($number = 1; $number <= (int) $count; $number += 1) {
        $client->addTask($function, "$workload$number");
        $expected[] = strrev("$workload$number");
    }
    $client->runTasks();
    tell('completed', count($results), 'wrong', count(array_diff($expected, $results)));
}

function status(GearmanClient $client, string $handle): void
{
    tell('status', ...array_map('intval', $client->jobStatus($handle)));
}

function uniqueStatus(GearmanClient $client, string $unique): void
{
    tell('unique', ...array_map('intval', $client->jobStatusByUniqueKey($unique)));
}

function ping(GearmanClient $client): void
{
    tell($client->ping('a few bytes') ? 'answered' : 'unanswered');
}

$act = match ($verb) { 'do' => 'doIt', 'unique' => 'uniqueStatus', default => $verb };
$act($client, ...$words);
