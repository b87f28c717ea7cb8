using System.CommandLine;
using System.Globalization;
using Glm.Evaluation;

namespace Glm.Cli;

/// <summary>The options of <c>glm eval</c> that concern models behind an endpoint.</summary>
internal sealed class EndpointOptionSet
{
    private readonly Option<string> _address = new("--endpoint") { HelpName = "URL", Description = "Instead of --model: an OpenAI-compatible endpoint, such as https://host/v1" };

    private readonly Option<string> _model = new("--endpoint-model") { HelpName = "NAME", Description = "Name of the model there (default: the only one it has)" };

    private readonly Option<string> _interface = new Option<string>("--endpoint-api")
    {
        HelpName = "auto|completions|chat",
        Description = "Score choices by log-probabilities of completions, or let the model answer in a chat with a letter (default: auto, log-probabilities where the endpoint gives them)",
        DefaultValueFactory = _ => "auto",
    }.AcceptOnlyFromAmong("auto", "completions", "chat");

    private readonly Option<string> _key = new("--api-key-env") { HelpName = "VARIABLE", Description = "Environment variable with the endpoint's key (default: OPENAI_API_KEY, which may be unset)" };

    private readonly Option<double> _rate = Options.Number("--rate", "N", "Most requests to the endpoint a minute (default: no limit of ours)", 0, 0.0, 1e6);

    private readonly Option<int> _connections = Options.Number("--connections", "N", "Requests to the endpoint at a time", 8, 1, 256);

    private readonly Option<double> _priceIn = Options.Number("--price-in", "AMOUNT", "Price of a million tokens that the endpoint reads, for the estimate", 0, 0.0, 1e6);

    private readonly Option<double> _priceOut = Options.Number("--price-out", "AMOUNT", "Price of a million tokens that it writes", 0, 0.0, 1e6);

    private readonly Option<bool> _estimate = new("--estimate") { Description = "Only tell what the endpoint would be asked and what that would cost" };

    /// <summary>All of them.</summary>
    public IEnumerable<Option> All => [_address, _model, _interface, _key, _rate, _connections, _priceIn, _priceOut, _estimate];

    /// <summary>Whether an endpoint is to be asked.</summary>
    /// <exception cref="UsageException">Something is said of an endpoint, but no address.</exception>
    public bool IsAsked(ParseResult parse)
    {
        if (parse.GetValue(_address) is not null) return true;
        if (All.FirstOrDefault(option => parse.GetResult(option) is { Implicit: false }) is { } lonely) throw new UsageException($"{lonely.Name}: expected an address besides (--endpoint), found none");
        return false;
    }

    /// <summary>Opens the endpoint and says what it will be asked.</summary>
    /// <param name="parse">The command line.</param>
    /// <param name="terminal">Hears of the estimate, and of requests that are repeated.</param>
    /// <param name="runs">What will be run.</param>
    /// <param name="quiet">Whether nothing is said.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>The model; null where only the estimate was asked for.</returns>
    public EndpointModel? Open(ParseResult parse, Terminal terminal, IReadOnlyList<(TaskDefinition Task, TaskOptions Options)> runs, bool quiet, CancellationToken cancellation)
    {
        var options = EndpointOptions.Of(parse.GetRequiredValue(_address), parse.GetValue(_key)) with
        {
            Model = parse.GetValue(_model),
            Interface = Enum.Parse<EndpointInterface>(parse.GetValue(_interface)!, ignoreCase: true),
            RequestsPerMinute = parse.GetValue(_rate) is > 0 and var rate ? rate : null,
            Connections = parse.GetValue(_connections),
            Cache = EndpointOptions.StandardCache,
        };
        var model = EndpointModel.Open(options, note => terminal.Error.WriteLine($"glm: {note}"), cancellation);
        bool isEstimate = parse.GetValue(_estimate);
        if (!quiet || isEstimate)
        {
            terminal.Error.WriteLine($"{model.Identity.Name} at {model.Identity.Location}: {(model.GivesProbabilities ? "gives log-probabilities; every choice is a request" : "gives no log-probabilities; choices are answered with a letter, texts cannot be read")}");
            var cost = runs.Aggregate(default(EndpointCost), (sum, run) => sum + EndpointCost.Of(run.Task, run.Options, model.GivesProbabilities));
            string price = parse.GetValue(_priceIn) + parse.GetValue(_priceOut) > 0
                ? string.Create(CultureInfo.InvariantCulture, $", at most about {cost.Price(parse.GetValue(_priceIn), parse.GetValue(_priceOut)):0.00} at the prices given") : "";
            terminal.Error.WriteLine($"{cost.Items:N0} items, {cost.Requests:N0} requests, about {Units.Count(cost.Read)} tokens to read and {Units.Count(cost.Written)} to write{price}; what is cached or done costs nothing");
        }
        if (!isEstimate) return model;
        model.Dispose();
        return null;
    }
}
