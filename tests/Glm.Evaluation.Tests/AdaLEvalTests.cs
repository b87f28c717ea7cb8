using System.Text.Json;
using System.Text.RegularExpressions;
using Glm.Inference.Tests;
using Glm.Tokenizers;

namespace Glm.Evaluation.Tests;

public sealed partial class AdaLEvalTests : IDisposable
{
    private static readonly Tokenizer Tokenizer = TinyModel.Tokenizer;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("1k")]
    [InlineData("4k")]
    public void Passages_in_the_order_of_the_answer_are_the_text(string name)
    {
        var setting = LengthSetting.Parse(name);
        SourceText[] texts = [new("a", Text(0, 2000)), new("b", Text(5000, 4000)), new("too short", "One sentence.")];
        var questions = new PassageSort(Tokenizer).Questions(texts, setting, 25, seed: 3);
        Assert.Equal(25, questions.Count);
        foreach (var question in questions.Select(question => question!.AsObject()))
        {
            string prompt = (string)question["prompt"]!, text = texts.Single(text => text.Id == (string)question["book_id"]!).Text;
            int[] answer = [.. question["answer"]!.AsArray().Select(part => (int)part!)], offsets = [.. question["para_offset"]!.AsArray().Select(offset => (int)offset!)];
            Assert.Equal([1, 2, 3, 4], answer.Order());
            string[] parts = [.. PartPattern().Matches(prompt).Select(match => match.Groups[1].Value)];
            string inOrder = string.Join(' ', answer.Select(part => parts[part - 1]));
            Assert.Contains(inOrder, text);
            Assert.Equal(offsets.Order(), offsets);
            Assert.All(Enumerable.Range(0, 4), i => Assert.StartsWith(parts[answer[i] - 1], text[offsets[i]..].TrimStart()));
            Assert.Contains($"{Before(prompt)} {inOrder} {After(prompt)}", text);
            Assert.InRange(Tokenizer.Encode(prompt).Length, 0.85 * setting.Tokens, setting.Tokens);
            Assert.Equal(string.Join(',', answer), AnswerExtractor.Of($"Answer: [{string.Join(", ", answer)}]", AnswerExtraction.Order, 24));
        }
        Assert.True(questions.Select(question => question!["answer"]!.ToJsonString()).Distinct().Count() > 8);
        Assert.Equal(questions.ToJsonString(), new PassageSort(Tokenizer).Questions(texts, setting, 25, seed: 3).ToJsonString());
    }

    [Fact]
    public void Texts_that_are_too_short_are_refused()
    {
        Assert.Contains("2k", Assert.Throws<GlmException>(() => new PassageSort(Tokenizer).Questions([new("a", "Short. Text.")], LengthSetting.Parse("2k"), 1, 1)).Message);
        foreach (string name in new[] { "0k", "2", "k", "-1k", "2000k" }) Assert.Throws<GlmException>(() => LengthSetting.Parse(name));
    }

    [Fact]
    public void Longer_questions_keep_their_best_answer()
    {
        string file = _folder.Write("stackselect_1k.json", JsonSerializer.Serialize(Enumerable.Range(0, 60).Select(i => new
        {
            question_id = $"{i}", question = $"Which cat sat on mat {i}?", all_answers = Enumerable.Range(0, 3).Select(j => $"It is {i} {j}: {Text((100 * i) + j, 3)}"), answer = $"A{(i % 3) + 1}", tags = new[] { "cat" },
        })));
        var setting = LengthSetting.Parse("2k");
        var questions = new AnswerPool(Tokenizer).Questions(file, setting, seed: 4);
        Assert.Equal(60, questions.Count);
        foreach (var (question, i) in questions.Select((question, i) => (question!.AsObject(), i)))
        {
            string[] answers = [.. question["all_answers"]!.AsArray().Select(answer => (string)answer!)];
            Assert.StartsWith($"It is {i} {i % 3}:", answers[int.Parse(((string)question["answer"]!)[1..]) - 1]);
            Assert.Equal(answers.Length, answers.Distinct().Count());
            Assert.All(Enumerable.Range(0, 3), j => Assert.Contains(answers, answer => answer.StartsWith($"It is {i} {j}:")));
            int tokens = answers.Sum(answer => Tokenizer.Encode(answer).Length);
            Assert.InRange(tokens, 0.5 * setting.Tokens, setting.Tokens);
        }
        Assert.True(questions.Select(question => (string)question!["answer"]!).Distinct().Count() > 5);
        Assert.Contains("128k", Assert.Throws<GlmException>(() => new AnswerPool(Tokenizer).Questions(file, LengthSetting.Parse("128k"), 4)).Message);
    }

    private static string Text(int first, int sentences) => string.Join(' ', Enumerable.Range(first, sentences).Select(i => $"The {i}th cat sat on the mat, and then it said: good night!"));

    private static string Before(string prompt) => prompt.Split("Before:\n\n")[1].Split("\n\nPart 1:")[0];

    private static string After(string prompt) => prompt.Split("After:\n\n")[1].Split("\n\nAnswer:")[0];

    [GeneratedRegex(@"Part \d:\n\n(.*?)\n\n", RegexOptions.Singleline)]
    private static partial Regex PartPattern();
}
