using System.CommandLine;
using System.Diagnostics;
using Glm.Hub;

namespace Glm.Cli.Commands;

/// <summary><c>glm pull</c>: downloads a model from a hub.</summary>
internal static class PullCommand
{
    private const int NamedAtMost = 3;

    public static Command Create(Terminal terminal)
    {
        var repository = new Argument<string>("REPO") { Description = "Repository of the hub, as OWNER/NAME" };
        var revision = new Option<string>("--revision") { HelpName = "R", Description = "Branch, tag or commit", DefaultValueFactory = _ => "main" };
        var output = new Option<string?>("--output") { HelpName = "DIR", Description = "Directory that the model goes to (default: NAME here)" };
        var include = Patterns("--include", "Files to take, such as '*.gguf'; several times for several (default: all, but weights once)");
        var exclude = Patterns("--exclude", "Files to leave");
        var endpoint = new Option<string?>("--endpoint") { HelpName = "URL", Description = $"Address of the hub (default: {HubOptions.EndpointVariable}, or {HubOptions.PublicEndpoint}); a token in {HubOptions.TokenVariable} is sent to it alone" };
        var connections = Options.Number("--connections", "N", "Requests at a time", new HubOptions().Connections, 1, 64);
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("pull", "Download a model from a hub; repeated, it goes on where it was interrupted, or verifies what is there",
            "glm pull THUDM/chatglm3-6b", "glm pull THUDM/chatglm3-6b --include '*.json' --include tokenizer.model --output chatglm3-shape", "glm pull OWNER/NAME --revision v2 --endpoint https://mirror.example.org")
        {
            repository, revision, output, include, exclude, endpoint, connections, json, quiet,
        }.Does((parse, cancellation) =>
        {
            var options = HubOptions.FromEnvironment(parse.GetValue(endpoint)) with { Connections = parse.GetValue(connections) };
            var request = new PullRequest
            {
                Repository = parse.GetRequiredValue(repository),
                Revision = parse.GetRequiredValue(revision),
                Output = parse.GetValue(output),
                Include = parse.GetValue(include) ?? [],
                Exclude = parse.GetValue(exclude) ?? [],
            };
            using var line = new ProgressLine(terminal, parse.GetValue(quiet));
            var rate = new TransferRate();
            long start = Stopwatch.GetTimestamp();
            var result = ModelPull.RunAsync(options, request, new DirectProgress<PullProgress>(state => line.Show(Describe(state, rate))), cancellation).GetAwaiter().GetResult();
            var time = Stopwatch.GetElapsedTime(start);
            line.Dispose();
            if (result.LeftOut.Count > 0)
                terminal.Error.WriteLine($"glm: left out {Named(result.LeftOut)} ({Units.Bytes(result.LeftOutBytes)}): safetensors hold these weights; --include takes them");
            if (parse.GetValue(json))
                terminal.WriteJson(new { request.Repository, request.Revision, result.Output, result.Files, result.Bytes, result.ReceivedBytes, Seconds = Math.Round(time.TotalSeconds, 3), result.LeftOut });
            else
                terminal.Out.WriteLine($"{result.Output}: {result.Files:N0} files, {Units.Bytes(result.Bytes)}, verified; {Units.Bytes(result.ReceivedBytes)} downloaded in {Units.Duration(time)}");
        });
    }

    private static Option<string[]> Patterns(string name, string description) => new(name) { HelpName = "GLOB", Description = description, Arity = ArgumentArity.OneOrMore };

    private static string Named(IReadOnlyList<string> files) =>
        string.Join(", ", files.Take(NamedAtMost)) + (files.Count > NamedAtMost ? $" and {files.Count - NamedAtMost:N0} more" : "");

    private static string Describe(PullProgress state, TransferRate rate)
    {
        double speed = rate.BytesPerSecond(state.ReceivedBytes);
        if (state.Note is { } note) return note;
        string eta = speed > 0 ? $", {Units.Bytes((long)speed)}/s, {Units.Duration(TimeSpan.FromSeconds(Math.Min((state.TotalBytes - state.DoneBytes) / speed, TimeSpan.FromDays(99).TotalSeconds)))} left" : "";
        return $"{state.DoneFiles:N0} of {state.TotalFiles:N0} files, {Units.Bytes(state.DoneBytes)} of {Units.Bytes(state.TotalBytes)}{eta}";
    }
}
