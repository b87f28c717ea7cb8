using System.Diagnostics;
using Glm.Evaluation;

namespace Glm.Cli;

/// <summary>How far an evaluation is, and how long it will take: its work is the length of all items, and what an earlier run did takes no time.</summary>
internal sealed class EvaluationProgress(ProgressLine line, double totalWork)
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private double _before, _done, _skipped;

    /// <summary>Begins a task.</summary>
    /// <param name="name">What to call it.</param>
    /// <param name="work">Its share of the work.</param>
    public IProgress<TaskProgress> Of(string name, double work)
    {
        double before = _before;
        bool isFirst = true;
        _before += work;
        return new DirectProgress<TaskProgress>(state =>
        {
            if (isFirst) _skipped += state.Fraction * work;
            isFirst = false;
            _done = before + state.Fraction * work;
            line.Show($"{name}: {state.Items:N0} of {state.Total:N0} items{Rest()}");
        });
    }

    private string Rest()
    {
        double seconds = Stopwatch.GetElapsedTime(_start).TotalSeconds, worked = _done - _skipped;
        string all = $"; {100 * _done / totalWork:F0} % of all";
        return worked <= 0 || seconds < 2 ? all : $"{all}, {Units.Duration(TimeSpan.FromSeconds(seconds * (totalWork - _done) / worked))} left";
    }
}
