using System.Runtime.InteropServices;
using System.Text;
using Glm;
using Glm.Cli;
using Glm.Distributed;

// mpirun gives its ranks a terminal of their own, which is none.
if (MpiJob.IsRank) Environment.SetEnvironmentVariable("TERM", "dumb");

// Text is UTF-8 whatever the locale says, so that Chinese survives a pipe.
Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
Console.InputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);

using var cancellation = new CancellationTokenSource();
MpiJob? job = null;
try
{
    if (MpiJob.IsRank) job = MpiJob.Start(reason => Console.Error.WriteLine($"glm: {reason}"));
}
catch (GlmException error)
{
    Console.Error.WriteLine($"glm: {error.Message}");
    return CommandLine.Failure;
}
var terminal = job is null ? Terminal.OfProcess() : Terminal.OfRank(job.World);
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
int code = new CommandLine(terminal, job).Run(args, cancellation.Token);
job?.Dispose();
return code;

// An interrupt ends a part of the command where there is one to end, such as an answer in a chat. Otherwise the first signal asks the command to stop in
// order, and a second one ends the process at once.
void Cancel(PosixSignalContext signal)
{
    if (signal.Signal == PosixSignal.SIGINT && terminal.InterruptPart())
    {
        signal.Cancel = true;
        return;
    }
    signal.Cancel = !cancellation.IsCancellationRequested;
    cancellation.Cancel();
}
