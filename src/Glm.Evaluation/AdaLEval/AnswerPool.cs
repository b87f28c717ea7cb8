using System.Text.Json.Nodes;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>
/// Makes longer BestAnswer questions of short ones (ChatGLM spec 15.1): among a question's own answers, in random order, come answers to other questions until the
/// prompt has its length.
/// </summary>
/// <param name="tokenizer">Counts tokens.</param>
public sealed class AnswerPool(Tokenizer tokenizer)
{
    /// <summary>What the prompt around question and answers takes, roughly.</summary>
    private const int InstructionTokens = 120, DesignationTokens = 8;

    /// <summary>The questions of a file with more answers.</summary>
    /// <param name="file">A file of the schema of <c>stackselect_1k.json</c>, plain or compressed.</param>
    /// <param name="setting">The length of prompts, which they come close to and do not exceed.</param>
    /// <param name="seed">Key of the draws.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">The file cannot be read or has too few answers.</exception>
    public JsonArray Questions(string file, LengthSetting setting, ulong seed, CancellationToken cancellation = default)
    {
        var questions = DataReader.ReadAs(file, "json").Where(record => record.Fields is not null).Select(record => new Question(record.Fields!, tokenizer)).ToList();
        if (questions.Sum(question => question.Answers.Sum(answer => answer.Tokens)) < setting.Tokens)
            throw new GlmException($"{file}: setting {setting.Name}: expected answers of {setting.Tokens:N0} tokens together, found fewer");
        var longer = new JsonArray();
        foreach (var (question, i) in questions.Select((question, i) => (question, i)))
        {
            cancellation.ThrowIfCancellationRequested();
            if (question.Tokens + InstructionTokens <= setting.Tokens) longer.Add(Longer(question, i, questions, setting, new CounterRandom(seed, (ulong)i)));
        }
        return longer;
    }

    private static JsonObject Longer(Question question, int index, List<Question> all, LengthSetting setting, CounterRandom random)
    {
        var answers = question.Answers.ToList();
        int tokens = question.Tokens + InstructionTokens;
        var used = new HashSet<(int, int)>();
        // A few draws that do not fit end it: what is left is too little.
        for (int misses = 0; misses < 20;)
        {
            int other = random.NextInt(all.Count), which = random.NextInt(all[other].Answers.Count);
            var answer = all[other].Answers[which];
            bool fits = other != index && tokens + answer.Tokens + DesignationTokens <= setting.Tokens && used.Add((other, which));
            misses = fits ? 0 : misses + 1;
            if (!fits) continue;
            answers.Add(answer);
            tokens += answer.Tokens + DesignationTokens;
        }
        var best = question.Answers[question.Best];
        for (int i = 0; i < answers.Count - 1; i++)
        {
            int other = i + random.NextInt(answers.Count - i);
            (answers[i], answers[other]) = (answers[other], answers[i]);
        }
        var fields = new JsonObject(question.Fields.Select(field => KeyValuePair.Create(field.Key, field.Value?.DeepClone())))
        {
            ["all_answers"] = new JsonArray([.. answers.Select(answer => (JsonNode)answer.Text)]),
            ["answer"] = $"A{answers.FindIndex(answer => ReferenceEquals(answer, best)) + 1}",
        };
        return fields;
    }

    private sealed record Candidate(string Text, int Tokens);

    private sealed class Question
    {
        public Question(JsonObject fields, Tokenizer tokenizer)
        {
            Fields = fields;
            Answers = [.. ((fields["all_answers"] as JsonArray) ?? throw new GlmException("all_answers: expected a list, found none")).Select(answer => Template.Text(answer)).Select(text => new Candidate(text, tokenizer.Encode(text).Length))];
            string answer = Template.Text(fields["answer"]);
            Best = answer.StartsWith('A') && int.TryParse(answer[1..], out int number) && number >= 1 && number <= Answers.Count ? number - 1 : throw new GlmException($"answer: expected A1 to A{Answers.Count}, found {answer}");
            Tokens = tokenizer.Encode(Template.Text(fields["question"])).Length + Answers.Sum(candidate => candidate.Tokens + DesignationTokens);
        }

        public JsonObject Fields { get; }

        public IReadOnlyList<Candidate> Answers { get; }

        public int Best { get; }

        public int Tokens { get; }
    }
}
