namespace Glm.Evaluation;

/// <summary>What a task will ask of an endpoint, roughly and at most: what is cached or was done before is not subtracted.</summary>
/// <param name="Items">Items of all files.</param>
/// <param name="Requests">Requests.</param>
/// <param name="Read">Tokens that the model reads.</param>
/// <param name="Written">Tokens that it writes.</param>
public readonly record struct EndpointCost(int Items, long Requests, long Read, long Written)
{
    /// <summary>Tokens of the question that is put to a chat about choices.</summary>
    private const int QuestionTokens = 30, LetterTokens = 8;

    /// <summary>What a task will ask for.</summary>
    /// <param name="task">The task.</param>
    /// <param name="options">What is run of it.</param>
    /// <param name="givesProbabilities">Whether the endpoint gives log-probabilities: then each choice is a request.</param>
    /// <exception cref="GlmException">Data is missing or empty.</exception>
    public static EndpointCost Of(TaskDefinition task, TaskOptions options, bool givesProbabilities)
    {
        var cost = default(EndpointCost);
        foreach (var item in TaskData.Load(task, options.Data, options.Shots, options.Limit).Files.SelectMany(file => file.Items))
        {
            long prompt = Tokens(item.Prompt.Text), choices = item.Choices.Sum(choice => Tokens(choice.Text));
            cost += task.Kind switch
            {
                TaskKind.MultipleChoice when givesProbabilities => new EndpointCost(1, item.Choices.Count, (prompt * item.Choices.Count) + choices, item.Choices.Count),
                TaskKind.MultipleChoice => new EndpointCost(1, 1, prompt + choices + QuestionTokens, LetterTokens),
                TaskKind.Generation => new EndpointCost(1, 1, prompt, (long)task.Generation.MaxNewTokens * task.Generation.Samples),
                _ => new EndpointCost(1, 1, prompt, 1),
            };
        }
        return cost;
    }

    /// <summary>What two tasks ask for.</summary>
    public static EndpointCost operator +(EndpointCost a, EndpointCost b) => new(a.Items + b.Items, a.Requests + b.Requests, a.Read + b.Read, a.Written + b.Written);

    /// <summary>What it costs.</summary>
    /// <param name="priceRead">Price of a million tokens read.</param>
    /// <param name="priceWritten">Price of a million tokens written.</param>
    public double Price(double priceRead, double priceWritten) => ((Read * priceRead) + (Written * priceWritten)) / 1e6;

    /// <summary>About how many tokens a text has in most vocabularies: four letters of ASCII each, or nine tenths of another character.</summary>
    internal static long Tokens(string? text)
    {
        if (text is null) return 0;
        int ascii = text.Count(char.IsAscii);
        return (long)Math.Ceiling((ascii / 4.0) + ((text.Length - ascii) / 0.9));
    }
}
